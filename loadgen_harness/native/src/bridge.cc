#include "bridge.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <numeric>
#include <stdexcept>

#include "issue_query_controller.h"
#include "loadgen.h"

namespace lgh {

namespace {

// LoadGen's own clock is the wall clock in libstdc++. It is compared with ours this often; between two comparisons it
// can drift by half a microsecond, as a wall clock that is being corrected does.
constexpr int64_t kCompared_ns = 1'000'000;

constexpr std::chrono::milliseconds kRegistering{20};

int64_t nanoseconds(mlperf::PerfClock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// When LoadGen meant to issue a sample, by its clock: a response id is the address of LoadGen's record of the sample.
int64_t scheduled(mlperf::ResponseId id) {
  return nanoseconds(reinterpret_cast<mlperf::loadgen::SampleMetadata*>(id)->query_metadata->scheduled_time);
}

class Samples : public mlperf::QuerySampleLibrary {
 public:
  explicit Samples(const Library& library) : library_(library) {}
  const std::string& Name() override { return name_; }
  size_t TotalSampleCount() override { return library_.total_count; }
  size_t PerformanceSampleCount() override { return library_.performance_count; }
  void LoadSamplesToRam(const std::vector<mlperf::QuerySampleIndex>& samples) override { library_.load(samples); }
  void UnloadSamplesFromRam(const std::vector<mlperf::QuerySampleIndex>& samples) override {
    library_.unload(samples);
  }

 private:
  std::string name_ = "loadgen-harness";
  const Library& library_;
};

}  // namespace

Bridge::Bridge(std::shared_ptr<Table> table, uint64_t* progress, std::function<void(std::string)> fail)
    : table_(std::move(table)), progress_(progress), fail_(std::move(fail)) {}

Bridge::~Bridge() {
  for (auto& ring : rings_) ring->close();
  for (auto& completer : completers_) completer.join();
}

void Bridge::IssueQuery(const std::vector<mlperf::QuerySample>& samples) {
  if (samples.empty()) return;
  try {
    int64_t issued = now_ns();
    queue(samples, issued);
    // Mostly told by those who complete: two threads that write to one cache line for every sample slow each other.
    uint64_t count = table_->issued();
    if (samples.size() > 1 || count < 64 || count % 1024 == 0) __atomic_store_n(&progress_[0], count, __ATOMIC_RELAXED);
    if (answer_) answer_(samples.size(), issued);
  } catch (const std::exception& error) {
    fail_(error.what());
  }
}

void Bridge::queue(const std::vector<mlperf::QuerySample>& samples, int64_t issued) {
  std::lock_guard<std::mutex> turn(issuers_);
  if (issued - compared_ > kCompared_ns) {
    offset_ = issued - nanoseconds(mlperf::PerfClock::now());
    compared_ = issued;
  }
  int64_t meant = scheduled(samples[0].id) + offset_;
  auto sample = [&](size_t i) {
    int64_t time = coalescing_ ? scheduled(samples[i].id) + offset_ : meant;
    return Sample{samples[i].id, static_cast<int64_t>(samples[i].index), time};
  };
  if (samples.size() == 1 || costs_.empty()) {
    table_->push(samples.size(), issued, sample);
  } else {
    std::vector<size_t> order = dearest_first(samples);
    table_->push(samples.size(), issued, [&](size_t i) { return sample(order[i]); });
  }
}

std::vector<size_t> Bridge::dearest_first(const std::vector<mlperf::QuerySample>& samples) const {
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t one, size_t other) { return costs_[samples[one].index] > costs_[samples[other].index]; });
  return order;
}

Row& Bridge::flying(uint64_t number) const {
  if (number >= table_->issued()) throw std::runtime_error("a sample was answered that LoadGen never issued");
  Row& row = table_->row(number);
  if (done_of(row) != 0 || table_->used_again(number)) throw std::runtime_error("a sample was answered twice");
  return row;
}

std::vector<mlperf::QuerySampleResponse>& Bridge::gather(const Responses& responses) const {
  static thread_local std::vector<mlperf::QuerySampleResponse> made;  // one allocation per thread, not per batch
  made.resize(responses.count);
  auto base = reinterpret_cast<uintptr_t>(responses.data);
  for (size_t i = 0; i < responses.count; ++i) {
    made[i].data = base + (responses.offsets ? responses.offsets[i] : i * responses.stride);
    made[i].size = responses.offsets ? responses.offsets[i + 1] - responses.offsets[i] : responses.stride;
    made[i].n_tokens = responses.tokens ? responses.tokens[i] : 0;
  }
  return made;
}

void Bridge::complete(const Responses& responses) {
  if (responses.count == 0) return;
  auto& made = gather(responses);
  int64_t now = now_ns();
  int64_t computed = responses.computed_ns ? responses.computed_ns : now;
  uint64_t late[2] = {0, 0};
  for (size_t i = 0; i < responses.count; ++i) {
    Row& row = flying(responses.rows[i]);
    made[i].id = row.id;
    row.computed = computed;
    row.tokens = static_cast<int32_t>(made[i].n_tokens);
    if (late_) weigh(row, now, late);
    set_done(row, now);
  }
  for (size_t i : {0, 1}) {
    if (late[i]) __atomic_fetch_add(&late_[i], late[i], __ATOMIC_RELAXED);
  }
  mlperf::QuerySamplesComplete(made.data(), made.size());
  uint64_t completed = completed_.fetch_add(responses.count, std::memory_order_relaxed) + responses.count;
  __atomic_store_n(&progress_[0], table_->issued(), __ATOMIC_RELAXED);
  __atomic_store_n(&progress_[1], completed, __ATOMIC_RELAXED);
}

// Counts no sample that LoadGen does not: it looks at the clock later than we did.
void Bridge::weigh(const Row& row, int64_t now, uint64_t late[2]) const {
  if (limits_.latency != INT64_MAX) {
    late[0] += now - row.scheduled > limits_.latency;
  } else if (row.first_token != 0) {
    late[0] += row.first_token - row.scheduled > limits_.first_token;
    late[1] += row.tokens > 1 && (now - row.first_token) / (row.tokens - 1) > limits_.per_token;
  }
}

void Bridge::first_token(const Responses& responses) {
  if (responses.count == 0) return;
  auto& made = gather(responses);
  int64_t now = now_ns();
  for (size_t i = 0; i < responses.count; ++i) {
    Row& row = flying(responses.rows[i]);
    made[i].id = row.id;
    row.first_token = now;
  }
  mlperf::FirstTokenComplete(made.data(), made.size());
}

void Bridge::listen(std::shared_ptr<Ring> ring, int64_t spin_ns) {
  rings_.push_back(ring);
  completers_.emplace_back([this, ring, spin_ns] { serve(ring.get(), spin_ns); });
}

void Bridge::serve(Ring* ring, int64_t spin_ns) {
  Message message;
  bool failed = false;  // LoadGen demands that this thread lives on, and writers must not be held up
  while (ring->read(&message, kForever, spin_ns)) {
    try {
      if (!failed) handle(message);
    } catch (const std::exception& error) {
      failed = true;
      fail_(error.what());
    }
    ring->release();
  }
}

void Bridge::handle(const Message& message) {
  const auto& parts = message.parts;
  if (parts.size() != 4) throw std::runtime_error("a worker process sent a message that is none");
  Responses responses{};
  responses.rows = static_cast<const uint64_t*>(parts[0].data);
  responses.count = parts[0].size / sizeof(uint64_t);
  responses.data = static_cast<const uint8_t*>(parts[1].data);
  responses.stride = responses.count ? parts[1].size / responses.count : 0;
  responses.offsets = parts[2].size ? static_cast<const uint64_t*>(parts[2].data) : nullptr;
  responses.tokens = parts[3].size ? static_cast<const int64_t*>(parts[3].data) : nullptr;
  responses.computed_ns = message.time_ns;
  if (message.kind == Kind::kComplete) {
    complete(responses);
  } else {
    first_token(responses);
  }
}

void Bridge::start_test(const mlperf::TestSettings& settings, const std::string& folder,
                        const std::string& audit_config, const Library& library) {
  mlperf::LogSettings logs;
  logs.log_output.outdir = folder;
  logs.enable_trace = false;
  coalescing_ = settings.server_coalesce_queries;
  bool server = settings.scenario == mlperf::TestScenario::Server;
  std::vector<std::thread> issuers;
  std::atomic<uint64_t> arrived{0};
  std::promise<void> over;
  std::shared_future<void> after = over.get_future().share();
  for (uint64_t i = 0; server && i < settings.server_num_issue_query_threads; ++i) {
    issuers.emplace_back([this, after, &arrived] {
      around_([&] {
        arrived.fetch_add(1);
        mlperf::RegisterIssueQueryThread();
        after.wait();  // a thread that completed samples must outlive LoadGen's logger
      });
    });
  }
  auto end = [&] {
    // Also where LoadGen gives up early: its own end of the threads is not reached then.
    mlperf::loadgen::IssueQueryController::GetInstance().EndThreads();
    over.set_value();
    for (auto& issuer : issuers) issuer.join();
  };
  Samples samples(library);
  while (arrived.load() < issuers.size()) std::this_thread::sleep_for(std::chrono::microseconds(100));
  // They register with LoadGen at once. It waits for them too, but for ten seconds where it looks before they have.
  if (!issuers.empty()) std::this_thread::sleep_for(kRegistering);
  try {
    mlperf::StartTest(this, &samples, settings, logs, audit_config);
  } catch (...) {
    end();
    throw;
  }
  end();
}

}  // namespace lgh
