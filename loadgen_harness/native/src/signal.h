// Waiting across processes: a counter of events in shared memory with a futex behind it.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "clock.h"

namespace lgh {

constexpr int64_t kForever = INT64_MAX;

// Lives in shared memory. A notifier pays one atomic increment while nobody sleeps, a system call only to wake.
class Signal {
 public:
  // Call after the change that waiters look for.
  void notify(int sleepers = INT_MAX) {
    events_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) != 0) futex(FUTEX_WAKE, static_cast<uint32_t>(sleepers), nullptr);
  }

  // Until ready() or the deadline (CLOCK_MONOTONIC), awake for the first spin_ns; returns ready().
  template <class Ready>
  bool wait(Ready ready, int64_t deadline_ns, int64_t spin_ns) {
    if (ready()) return true;
    if (spin_ns > 0 && spin(ready, deadline_ns, spin_ns)) return true;
    while (true) {
      uint32_t seen = events_.load(std::memory_order_seq_cst);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      bool done = ready();
      if (!done) sleep(seen, deadline_ns);
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      if (done || ready()) return true;
      if (deadline_ns != kForever && now_ns() >= deadline_ns) return false;
    }
  }

 private:
  template <class Ready>
  static bool spin(Ready ready, int64_t deadline_ns, int64_t spin_ns) {
    int64_t start = now_ns();
    int64_t end = spin_ns < deadline_ns - start ? start + spin_ns : deadline_ns;
    do {
      for (int i = 0; i < 32; ++i) pause();
      if (ready()) return true;
    } while (now_ns() < end);
    return false;
  }

  void sleep(uint32_t seen, int64_t deadline_ns) {
    timespec until{deadline_ns / 1'000'000'000, deadline_ns % 1'000'000'000};
    futex(FUTEX_WAIT_BITSET, seen, deadline_ns == kForever ? nullptr : &until);
  }

  void futex(int operation, uint32_t value, const timespec* until) {
    static_assert(sizeof(events_) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
    syscall(SYS_futex, &events_, operation, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
  }

  std::atomic<uint32_t> events_{0};
  std::atomic<uint32_t> sleepers_{0};
};

}  // namespace lgh
