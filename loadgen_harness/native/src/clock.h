// The clock of every stamp: CLOCK_MONOTONIC in ns, the same in all processes and in Python's time.monotonic_ns().
#pragma once

#include <cstdint>
#include <ctime>

namespace lgh {

inline int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

// Tells the core that it waits for another one.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace lgh
