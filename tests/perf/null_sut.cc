// A system under test that does nothing, in C++: what LoadGen itself costs, and the yardstick for the Python ones.
//
//   null_sut --sut inline|queue --output FOLDER --total N --loaded N --max_batch N --spin_us X --FIELD VALUE ...
//
// inline: IssueQuery completes at once. queue: IssueQuery appends to a vector under a mutex; one thread takes all that
// waits and completes it, at most max_batch samples a call; it looks awake for spin_us before it sleeps. FIELD is any
// member of LoadGen's TestSettings (see Settings below). Prints its peak memory in bytes.

#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "loadgen.h"
#include "query_sample.h"
#include "query_sample_library.h"
#include "system_under_test.h"
#include "test_settings.h"

namespace {

using Samples = std::vector<mlperf::QuerySample>;
using Options = std::map<std::string, std::string>;

constexpr size_t kResponseBytes = 8;  // as in sut.py of the benchmark that the Python variants run

// Completes samples with one preallocated block of responses.
class Responses {
 public:
  explicit Responses(size_t max_batch) : bytes_(max_batch * kResponseBytes), responses_(max_batch) {
    for (size_t i = 0; i < max_batch; i++) {
      responses_[i].data = reinterpret_cast<uintptr_t>(&bytes_[i * kResponseBytes]);
      responses_[i].size = kResponseBytes;
    }
  }

  void Complete(const Samples& samples) {
    for (size_t begin = 0; begin < samples.size(); begin += responses_.size()) {
      const size_t count = std::min(responses_.size(), samples.size() - begin);
      for (size_t i = 0; i < count; i++) responses_[i].id = samples[begin + i].id;
      mlperf::QuerySamplesComplete(responses_.data(), count);
    }
  }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<mlperf::QuerySampleResponse> responses_;
};

class InlineSut : public mlperf::SystemUnderTest {
 public:
  explicit InlineSut(size_t max_batch) : responses_(max_batch) {}
  const std::string& Name() override { return name_; }
  void IssueQuery(const Samples& samples) override { responses_.Complete(samples); }
  void FlushQueries() override {}

 private:
  const std::string name_ = "null, inline";
  Responses responses_;
};

class QueueSut : public mlperf::SystemUnderTest {
 public:
  QueueSut(size_t max_batch, std::chrono::nanoseconds spin)
      : responses_(max_batch), spin_(spin), thread_([this] { Work(); }) {}

  ~QueueSut() override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    some_.notify_one();
    thread_.join();
  }

  const std::string& Name() override { return name_; }
  void FlushQueries() override {}

  void IssueQuery(const Samples& samples) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      waiting_.insert(waiting_.end(), samples.begin(), samples.end());
      filled_.store(true, std::memory_order_release);
    }
    some_.notify_one();
  }

 private:
  void Work() {
    Samples taken;
    while (Take(&taken)) responses_.Complete(taken);
  }

  bool Take(Samples* taken) {
    taken->clear();
    Spin();
    std::unique_lock<std::mutex> lock(mutex_);
    some_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    taken->swap(waiting_);
    filled_.store(false, std::memory_order_relaxed);
    return !taken->empty();
  }

  void Spin() const {
    if (spin_.count() == 0) return;
    const auto end = std::chrono::steady_clock::now() + spin_;
    while (!filled_.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < end) {
    }
  }

  const std::string name_ = "null, queue";
  Responses responses_;
  const std::chrono::nanoseconds spin_;
  std::mutex mutex_;
  std::condition_variable some_;
  Samples waiting_;
  std::atomic<bool> filled_{false};
  bool stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

class Library : public mlperf::QuerySampleLibrary {
 public:
  Library(size_t total, size_t loaded) : total_(total), loaded_(loaded) {}
  const std::string& Name() override { return name_; }
  size_t TotalSampleCount() override { return total_; }
  size_t PerformanceSampleCount() override { return loaded_; }
  void LoadSamplesToRam(const std::vector<mlperf::QuerySampleIndex>&) override {}
  void UnloadSamplesFromRam(const std::vector<mlperf::QuerySampleIndex>&) override {}

 private:
  const std::string name_ = "null";
  const size_t total_, loaded_;
};

// Takes options out of a map, so that what nobody took can be refused.
class Reader {
 public:
  explicit Reader(Options* options) : options_(options) {}

  std::string Text(const std::string& name) {
    const auto found = options_->find(name);
    if (found == options_->end()) throw std::invalid_argument("--" + name + " is missing");
    const std::string value = found->second;
    options_->erase(found);
    return value;
  }

  double Real(const std::string& name) { return std::stod(Text(name)); }
  uint64_t Whole(const std::string& name) { return std::stoull(Text(name)); }

  template <typename Value>
  Value OneOf(const std::string& name, const std::map<std::string, Value>& values) {
    const std::string text = Text(name);
    const auto found = values.find(text);
    if (found == values.end()) throw std::invalid_argument("--" + name + " cannot be " + text);
    return found->second;
  }

 private:
  Options* options_;
};

mlperf::TestSettings Settings(Reader* reader) {
  using mlperf::TestMode;
  using mlperf::TestScenario;
  mlperf::TestSettings s;
  s.token_latency_scaling_factor = 1;  // LoadGen leaves it uninitialised
  s.scenario = reader->OneOf<TestScenario>("scenario", {{"SingleStream", TestScenario::SingleStream},
                                                        {"MultiStream", TestScenario::MultiStream},
                                                        {"Server", TestScenario::Server},
                                                        {"Offline", TestScenario::Offline}});
  s.mode = reader->OneOf<TestMode>(
      "mode", {{"PerformanceOnly", TestMode::PerformanceOnly}, {"AccuracyOnly", TestMode::AccuracyOnly}});
  const auto real = [reader](const char* name, double* field) { *field = reader->Real(name); };
  const auto whole = [reader](const char* name, uint64_t* field) { *field = reader->Whole(name); };
  const auto flag = [reader](const char* name, bool* field) { *field = reader->Whole(name) != 0; };
  real("single_stream_expected_latency_ns", &s.single_stream_expected_latency_ns);
  real("single_stream_target_latency_percentile", &s.single_stream_target_latency_percentile);
  real("multi_stream_expected_latency_ns", &s.multi_stream_expected_latency_ns);
  real("multi_stream_target_latency_percentile", &s.multi_stream_target_latency_percentile);
  whole("multi_stream_samples_per_query", &s.multi_stream_samples_per_query);
  real("server_target_qps", &s.server_target_qps);
  whole("server_target_latency_ns", &s.server_target_latency_ns);
  real("server_target_latency_percentile", &s.server_target_latency_percentile);
  flag("server_coalesce_queries", &s.server_coalesce_queries);
  whole("server_max_async_queries", &s.server_max_async_queries);
  whole("server_num_issue_query_threads", &s.server_num_issue_query_threads);
  real("offline_expected_qps", &s.offline_expected_qps);
  flag("sample_concatenate_permutation", &s.sample_concatenate_permutation);
  whole("min_duration_ms", &s.min_duration_ms);
  whole("max_duration_ms", &s.max_duration_ms);
  whole("min_query_count", &s.min_query_count);
  whole("max_query_count", &s.max_query_count);
  whole("qsl_rng_seed", &s.qsl_rng_seed);
  whole("sample_index_rng_seed", &s.sample_index_rng_seed);
  whole("schedule_rng_seed", &s.schedule_rng_seed);
  flag("performance_issue_unique", &s.performance_issue_unique);
  flag("performance_issue_same", &s.performance_issue_same);
  whole("performance_issue_same_index", &s.performance_issue_same_index);
  whole("performance_sample_count_override", &s.performance_sample_count_override);
  whole("accuracy_sample_count_override", &s.accuracy_sample_count_override);
  flag("use_token_latencies", &s.use_token_latencies);
  whole("ttft_latency", &s.server_ttft_latency);
  whole("tpot_latency", &s.server_tpot_latency);
  return s;
}

std::unique_ptr<mlperf::SystemUnderTest> System(Reader* reader) {
  const size_t max_batch = reader->Whole("max_batch");
  const std::chrono::nanoseconds spin(static_cast<int64_t>(reader->Real("spin_us") * 1e3));
  const bool queue = reader->OneOf<bool>("sut", {{"inline", false}, {"queue", true}});
  if (queue) return std::make_unique<QueueSut>(max_batch, spin);
  return std::make_unique<InlineSut>(max_batch);
}

// Peak resident memory of this program alone: getrusage would count what the starting process had.
uint64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      uint64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  throw std::runtime_error("no VmHWM in /proc/self/status");
}

Options Parse(int argc, char** argv) {
  Options options;
  if (argc % 2 == 0) throw std::invalid_argument("options come as --name value");
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0) throw std::invalid_argument("expected --name, found " + name);
    options[name.substr(2)] = argv[i + 1];
  }
  return options;
}

void Run(int argc, char** argv) {
  Options options = Parse(argc, argv);
  Reader reader(&options);
  const mlperf::TestSettings settings = Settings(&reader);
  const std::unique_ptr<mlperf::SystemUnderTest> system = System(&reader);
  const size_t total = reader.Whole("total"), loaded = reader.Whole("loaded");
  Library library(total, loaded);
  mlperf::LogSettings logs;
  logs.enable_trace = false;
  logs.log_output.outdir = reader.Text("output");
  logs.log_output.copy_summary_to_stdout = false;
  if (!options.empty()) throw std::invalid_argument("unknown option --" + options.begin()->first);
  prctl(PR_SET_TIMERSLACK, 1);  // as the harness does: LoadGen's thread sleeps until a query is due
  mlperf::StartTest(system.get(), &library, settings, logs, logs.log_output.outdir + "/audit.config");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(argc, argv);
    std::cout << PeakBytes() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "null_sut: " << error.what() << std::endl;
    return 2;
  }
}
