// What the stress program is made of: named cases, expectations, threads whose complaints are heard.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clock.h"

namespace stress {

// ThreadSanitizer knows memory by its address: two mappings of one memory look to it like two unsynchronized places.
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

constexpr int64_t kMicro = 1'000, kMilli = 1'000'000, kSecond = 1'000'000'000;
constexpr int64_t kHour = 3600 * kSecond;

struct Case {
  std::string name;
  std::function<void(const std::string& folder)> run;  // throws what is wrong; an empty folder for logs
};
using Cases = std::vector<Case>;

Cases queue_cases();
Cases ring_cases();
Cases loadgen_cases();
Cases misuse_cases();

inline void expect(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

// Whether `call` throws std::runtime_error; anything else it throws goes on.
template <class Call>
bool refused(Call call) {
  try {
    call();
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

inline void sleep_ns(int64_t ns) {
  timespec nap{ns / kSecond, ns % kSecond};
  nanosleep(&nap, nullptr);
}

// Threads that are waited for; the first exception of any of them is thrown again by join().
class Threads {
 public:
  ~Threads() { wait(); }

  void start(std::function<void()> work) {
    threads_.emplace_back([this, work = std::move(work)] {
      try {
        work();
      } catch (...) {
        std::lock_guard<std::mutex> turn(mutex_);
        if (!error_) error_ = std::current_exception();
      }
    });
  }

  void join() {
    wait();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void wait() {
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::exception_ptr error_;
};

// A process that does `work`; it must be forked before this one has threads.
class Child {
 public:
  explicit Child(const std::function<void()>& work) : pid_(fork()) {
    if (pid_ < 0) throw std::runtime_error("no fork");
    if (pid_ > 0) return;
    try {
      work();
      _exit(0);
    } catch (const std::exception& error) {
      fprintf(stderr, "child: %s\n", error.what());
      _exit(1);
    }
  }

  void join() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with status " + std::to_string(status));
  }

 private:
  pid_t pid_;
};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t end) { return end ? state_() % end : 0; }
  bool one_in(uint64_t many) { return below(many) == 0; }

 private:
  std::mt19937_64 state_;
};

}  // namespace stress
