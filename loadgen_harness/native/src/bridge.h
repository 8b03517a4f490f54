// LoadGen on one side, the table of samples and the completing workers on the other; no Python in here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "query_sample.h"
#include "query_sample_library.h"
#include "ring.h"
#include "system_under_test.h"
#include "table.h"
#include "test_settings.h"

namespace lgh {

// Finished samples: row numbers and their bytes, either rows of `stride` bytes or offsets[i] to offsets[i + 1].
struct Responses {
  const uint64_t* rows;
  size_t count;
  const uint8_t* data;
  size_t stride;
  const uint64_t* offsets;  // count + 1 of them, or null
  const int64_t* tokens;    // count of them, or null
  int64_t computed_ns;      // when they were ready; 0: now
};

// What a test needs beside its settings. Callbacks are called from LoadGen's threads and must not throw.
struct Library {
  size_t total_count;
  size_t performance_count;
  std::function<void(const std::vector<size_t>&)> load;
  std::function<void(const std::vector<size_t>&)> unload;
};

// What a Server run's samples are held against, ns: their latency, or where that has no limit their tokens' times.
struct Limits {
  int64_t latency = INT64_MAX;
  int64_t first_token = INT64_MAX;
  int64_t per_token = INT64_MAX;
};

class Bridge : private mlperf::SystemUnderTest {
 public:
  // `progress`: two counters, samples issued and completed, that others read; they outlive the bridge.
  Bridge(std::shared_ptr<Table> table, uint64_t* progress, std::function<void(std::string)> fail);
  ~Bridge() override;

  // The issuing thread calls `answer` with the number of samples and their time of issue after each query instead of
  // leaving them to workers. Set before the test.
  void answer_inline(std::function<void(size_t, int64_t)> answer) { answer_ = std::move(answer); }

  // What surrounds the life of a thread that issues queries: where `answer` wants something prepared for its thread.
  using Around = std::function<void(const std::function<void()>&)>;
  void surround_threads(Around around) { around_ = std::move(around); }

  // A query of several samples is queued dearest first; one cost per sample of the library. Set while loading.
  std::vector<double>& costs() { return costs_; }

  // Count the samples over their limits in `late`, two counters that others read: over the latency or that of the first
  // token, and over that per token. Set before the test.
  void judge(const Limits& limits, uint64_t* late) {
    limits_ = limits;
    late_ = late;
  }

  // A thread of our own completes what arrives in `ring`; it lives as long as the bridge.
  void listen(std::shared_ptr<Ring> ring, int64_t spin_ns);

  // Throws std::runtime_error for samples that are not in flight.
  void complete(const Responses& responses);
  void first_token(const Responses& responses);

  // Blocks until LoadGen is done. Logs go to `folder`; throws what LoadGen throws.
  void start_test(const mlperf::TestSettings& settings, const std::string& folder, const std::string& audit_config,
                  const Library& library);

 private:
  const std::string& Name() override { return name_; }
  void IssueQuery(const std::vector<mlperf::QuerySample>& samples) override;
  void FlushQueries() override { table_->flush(); }

  void queue(const std::vector<mlperf::QuerySample>& samples, int64_t issued);
  std::vector<size_t> dearest_first(const std::vector<mlperf::QuerySample>& samples) const;
  Row& flying(uint64_t number) const;
  std::vector<mlperf::QuerySampleResponse>& gather(const Responses& responses) const;
  void serve(Ring* ring, int64_t spin_ns);
  void handle(const Message& message);
  void weigh(const Row& row, int64_t now, uint64_t late[2]) const;

  std::string name_ = "loadgen-harness";
  std::shared_ptr<Table> table_;
  uint64_t* progress_;
  Limits limits_;
  uint64_t* late_ = nullptr;
  std::function<void(std::string)> fail_;
  std::function<void(size_t, int64_t)> answer_;
  Around around_ = [](const std::function<void()>& thread) { thread(); };
  std::vector<double> costs_;
  bool coalescing_ = false;
  std::mutex issuers_;  // LoadGen may issue from several threads
  int64_t offset_ = 0;  // of LoadGen's clock from ours, and when that was looked at
  int64_t compared_ = INT64_MIN / 2;
  std::vector<std::shared_ptr<Ring>> rings_;
  std::vector<std::thread> completers_;
  alignas(64) std::atomic<uint64_t> completed_{0};
};

}  // namespace lgh
