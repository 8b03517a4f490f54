// A bridge with a table, a library of made-up samples and answers that tell which sample they belong to.
#pragma once

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bridge.h"
#include "stress.h"

namespace stress {

constexpr size_t kSamples = 300;  // of the library; an accuracy run answers each once

// Responses of different lengths, as bytes and offsets; or with token counts too.
class Answers {
 public:
  explicit Answers(bool with_tokens) : with_tokens_(with_tokens) {}

  static int32_t tokens_of(int64_t index) { return static_cast<int32_t>(index % 5 + 2); }
  static size_t size_of(int64_t index) { return 8 + static_cast<size_t>(index) % 9; }

  // As in LoadGen's accuracy log.
  static std::string hex_of(size_t index) {
    std::string made;
    for (size_t i = 0; i < size_of(static_cast<int64_t>(index)); ++i) {
      char digits[3];
      std::snprintf(digits, sizeof(digits), "%02X", static_cast<unsigned>(byte_of(static_cast<int64_t>(index), i)));
      made += digits;
    }
    return made;
  }

  // Valid until the next call.
  const lgh::Responses& to(const uint64_t* rows, const int64_t* indices, size_t count) {
    bytes_.clear();
    offsets_.assign(1, 0);
    tokens_.clear();
    for (size_t i = 0; i < count; ++i) {
      for (size_t k = 0; k < size_of(indices[i]); ++k) bytes_.push_back(byte_of(indices[i], k));
      offsets_.push_back(bytes_.size());
      if (with_tokens_) tokens_.push_back(tokens_of(indices[i]));
    }
    made_ = {rows, count, bytes_.data(), 0, offsets_.data(), with_tokens_ ? tokens_.data() : nullptr, 0};
    return made_;
  }

  // The last answers as a message.
  std::vector<lgh::Bytes> parts() const {
    return {{made_.rows, made_.count * 8},
            {bytes_.data(), bytes_.size()},
            {offsets_.data(), offsets_.size() * 8},
            {tokens_.data(), tokens_.size() * 8}};
  }

 private:
  static uint8_t byte_of(int64_t index, size_t at) {
    return static_cast<uint8_t>(at < 8 ? static_cast<uint64_t>(index) >> (8 * at) : at);
  }

  bool with_tokens_;
  std::vector<uint8_t> bytes_;
  std::vector<uint64_t> offsets_;
  std::vector<int64_t> tokens_;
  lgh::Responses made_{};
};

// Ends the process where LoadGen does not return though every sample was completed long ago: its logger can lose the
// entry that its end waits for (see loadgen.tsan), which says nothing about the bridge.
class Watch {
 public:
  static constexpr int kExit = 75;  // sanitize.py tries such a case again

  explicit Watch(const uint64_t* progress) : thread_([this, progress] { look(progress); }) {}
  ~Watch() {
    over_ = true;
    thread_.join();
  }

 private:
  static constexpr int64_t kPatience = 20 * kSecond;

  void look(const uint64_t* progress) {
    uint64_t seen = 0;
    for (int64_t since = lgh::now_ns(); !over_; sleep_ns(5 * kMilli)) {
      uint64_t issued = __atomic_load_n(&progress[0], __ATOMIC_RELAXED);
      uint64_t completed = __atomic_load_n(&progress[1], __ATOMIC_RELAXED);
      if (completed == 0 || completed != issued || completed != seen) since = lgh::now_ns();
      seen = completed;
      if (lgh::now_ns() - since < kPatience) continue;
      fprintf(stderr, "LoadGen does not return, %zu samples after\n", static_cast<size_t>(completed));
      _exit(kExit);
    }
  }

  std::atomic<bool> over_{false};
  std::thread thread_;
};

struct Harness {
  Harness(size_t capacity, size_t overflow)
      : table(std::make_shared<lgh::Table>(capacity, overflow)),
        bridge(std::make_unique<lgh::Bridge>(table, progress, [this](const std::string& what) { complain(what); })) {}

  void run(const mlperf::TestSettings& settings, const std::string& folder) {
    size_t loaded = 0;
    auto load = [&](const std::vector<size_t>& samples) {
      loaded += samples.size();
      bridge->costs().assign(kSamples, 0.0);
      for (size_t sample : samples) bridge->costs()[sample] = static_cast<double>(sample % 17);
    };
    auto unload = [&](const std::vector<size_t>& samples) { loaded -= samples.size(); };
    Watch watch(progress);
    bridge->start_test(settings, folder, folder + "/audit.config", {kSamples, kSamples / 2, load, unload});
    expect(loaded == 0, "samples stayed loaded");
  }

  void complain(const std::string& what) {
    std::lock_guard<std::mutex> turn(mutex);
    complaints += what + "; ";
  }

  uint64_t progress[2] = {0, 0};
  std::mutex mutex;
  std::string complaints;
  std::shared_ptr<lgh::Table> table;
  std::unique_ptr<lgh::Bridge> bridge;  // last: its threads use the rest
};

}  // namespace stress
