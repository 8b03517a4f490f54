// Whole LoadGen tests through the bridge: every scenario, answered inline, by threads, and through rings.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "harness.h"

namespace stress {

namespace {

using mlperf::TestMode;
using mlperf::TestScenario;

enum class By { kInline, kThreads, kRings, kProcesses };

struct Setup {
  TestScenario scenario;
  By by;
  TestMode mode = TestMode::PerformanceOnly;
  size_t workers = 2;
  size_t issuers = 0;  // threads of LoadGen's that issue; 0: StartTest's own
  bool coalescing = false, tokens = false;
  size_t max = 8;
  int64_t max_wait = 0, spin = 0;
  size_t capacity = 1 << 20, overflow = 1 << 12;
};

mlperf::TestSettings settings(const Setup& setup) {
  mlperf::TestSettings made;
  made.scenario = setup.scenario;
  made.mode = setup.mode;
  made.min_duration_ms = 300;
  made.min_query_count = 50;
  made.single_stream_expected_latency_ns = 10 * kMicro;
  made.multi_stream_expected_latency_ns = 20 * kMicro;
  made.server_target_qps = setup.by == By::kProcesses ? 5'000 : 10'000;
  made.server_target_latency_ns = 100 * kMilli;
  made.offline_expected_qps = 100'000;
  made.server_num_issue_query_threads = setup.issuers;
  made.server_coalesce_queries = setup.coalescing;
  made.use_token_latencies = setup.tokens;
  made.server_ttft_latency = made.server_tpot_latency = 100 * kMilli;
  return made;
}

void work_by_thread(Harness& harness, const Setup& setup) {
  Answers answers(setup.tokens);
  lgh::Table& table = *harness.table;
  std::vector<uint64_t> ids(setup.max);
  std::vector<int64_t> indices(setup.max);
  while (size_t count = table.next_batch(ids.data(), indices.data(), setup.max, setup.max_wait, setup.spin)) {
    const lgh::Responses& made = answers.to(ids.data(), indices.data(), count);
    if (setup.tokens) harness.bridge->first_token(made);
    harness.bridge->complete(made);
  }
}

void work_by_ring(lgh::Table& table, lgh::Ring& ring, const Setup& setup) {
  Answers answers(setup.tokens);
  std::vector<uint64_t> ids(setup.max);
  std::vector<int64_t> indices(setup.max);
  while (size_t count = table.next_batch(ids.data(), indices.data(), setup.max, setup.max_wait, setup.spin)) {
    answers.to(ids.data(), indices.data(), count);
    if (setup.tokens) ring.write(lgh::Kind::kFirstToken, answers.parts());
    ring.write(lgh::Kind::kComplete, answers.parts());
  }
}

void answer_inline(Harness& harness, const Setup& setup) {
  harness.bridge->answer_inline([&harness, setup](size_t, int64_t) {
    static thread_local Answers answers(setup.tokens);
    static thread_local std::vector<uint64_t> ids(setup.max);
    static thread_local std::vector<int64_t> indices(setup.max);
    size_t count = setup.max;
    while (count == setup.max) {
      count = harness.table->try_batch(ids.data(), indices.data(), setup.max);
      const lgh::Responses& made = answers.to(ids.data(), indices.data(), count);
      if (setup.tokens) harness.bridge->first_token(made);
      if (setup.scenario != TestScenario::Offline) sleep_ns(20 * kMicro);  // LoadGen made queries for that rate
      harness.bridge->complete(made);
    }
  });
}

void check_record(const Harness& harness, const Setup& setup) {
  const lgh::Table& table = *harness.table;
  expect(harness.complaints.empty(), "the bridge complains: " + harness.complaints);
  expect(table.issued() >= 50, "only " + std::to_string(table.issued()) + " samples were issued");
  expect(harness.progress[0] == table.issued() && harness.progress[1] == table.issued(), "progress is off");
  expect(table.recorded() == std::min<size_t>(table.issued(), setup.capacity), "rows are missing");
  for (size_t i = 0; i < table.recorded(); ++i) {
    const lgh::Row& row = table.rows()[i];
    bool ordered = row.issued <= row.dequeued && row.dequeued <= row.started && row.started <= row.computed &&
                   row.computed <= row.done && row.scheduled <= row.issued + kMilli;
    expect(ordered, "stamps of row " + std::to_string(i) + " are out of order");
    expect(row.batch >= 1 && row.batch <= static_cast<int>(setup.max), "a wrong batch size");
    expect(!setup.tokens || (row.first_token >= row.started && row.tokens == Answers::tokens_of(row.index)),
           "tokens are off");
  }
}

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  expect(in.good(), file + " is missing");
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

// Every sample of the library with its own answer, and once; LoadGen fills up the last query of MultiStream.
void check_accuracy(const std::string& folder, TestScenario scenario) {
  std::string log = text_of(folder + "/mlperf_log_accuracy.json");
  std::set<size_t> seen;
  for (size_t at = 0; (at = log.find("\"qsl_idx\" : ", at)) != std::string::npos; ++at) {
    size_t index = std::stoul(log.substr(at + 12));
    size_t data = log.find("\"data\" : \"", at) + 10;
    expect(log.substr(data, log.find('"', data) - data) == Answers::hex_of(index), "a wrong answer is in the log");
    expect(seen.insert(index).second || scenario == TestScenario::MultiStream, "a sample is twice in the log");
  }
  expect(seen.size() == kSamples, std::to_string(seen.size()) + " samples are in the log");
}

void check_logs(const std::string& folder, const Setup& setup) {
  std::string detail = text_of(folder + "/mlperf_log_detail.txt");
  size_t error = detail.find("\"is_error\": true");
  expect(error == std::string::npos, "LoadGen complains: " + detail.substr(detail.rfind('\n', error) + 1, 400));
  if (setup.mode != TestMode::PerformanceOnly) check_accuracy(folder, setup.scenario);
}

void test(const Setup& setup, const std::string& folder) {
  Harness harness(setup.capacity, setup.overflow);
  std::vector<std::shared_ptr<lgh::Ring>> rings;
  std::vector<Child> children;
  bool by_ring = setup.by == By::kRings || setup.by == By::kProcesses;
  for (size_t i = 0; by_ring && i < setup.workers; ++i) rings.push_back(std::make_shared<lgh::Ring>(1 << 16));
  for (size_t i = 0; setup.by == By::kProcesses && i < setup.workers; ++i) {
    children.emplace_back([&, i] {
      lgh::Table table(harness.table->fd());
      lgh::Ring ring = lgh::Ring::attach(rings[i]->fd());
      work_by_ring(table, ring, setup);
    });
  }
  for (auto& ring : rings) harness.bridge->listen(ring, setup.spin);
  if (setup.by == By::kInline) answer_inline(harness, setup);
  Threads workers;
  for (size_t i = 0; i < setup.workers; ++i) {
    if (setup.by == By::kThreads) workers.start([&] { work_by_thread(harness, setup); });
    if (setup.by == By::kRings) workers.start([&, i] { work_by_ring(*harness.table, *rings[i], setup); });
  }
  harness.run(settings(setup), folder);
  harness.table->close();
  workers.join();
  for (const Child& child : children) child.join();
  harness.bridge.reset();  // its completing threads count after LoadGen has been told
  check_record(harness, setup);
  check_logs(folder, setup);
}

struct Named {
  const char* name;
  TestScenario scenario;
};
constexpr Named kScenarios[] = {
    {"single-stream", TestScenario::SingleStream},
    {"multi-stream", TestScenario::MultiStream},
    {"server", TestScenario::Server},
    {"offline", TestScenario::Offline},
};

void add(Cases& cases, const std::string& name, const Setup& setup) {
  cases.push_back({"loadgen/" + name, [setup](const std::string& folder) { test(setup, folder); }});
}

void add_scenarios(Cases& cases) {
  const std::pair<const char*, By> kinds[] = {
      {"inline", By::kInline}, {"threads", By::kThreads}, {"rings", By::kRings}, {"processes", By::kProcesses}};
  for (const Named& each : kScenarios) {
    for (const auto& [name, by] : kinds) {
      Setup setup{each.scenario, by};
      std::string prefix = std::string(each.name) + "-" + name;
      add(cases, prefix, setup);
      setup.mode = TestMode::AccuracyOnly;
      add(cases, prefix + "-accuracy", setup);
    }
  }
}

void add_servers(Cases& cases) {
  const std::pair<const char*, By> kinds[] = {
      {"inline", By::kInline}, {"threads", By::kThreads}, {"rings", By::kRings}};
  for (const auto& [name, by] : kinds) {
    Setup setup{TestScenario::Server, by};
    setup.tokens = true;
    add(cases, std::string("tokens-") + name, setup);
    setup.issuers = 3;
    setup.tokens = false;
    add(cases, std::string("issuers-") + name, setup);
    setup.coalescing = true;
    add(cases, std::string("issuers-coalescing-") + name, setup);
    setup.max_wait = kMilli;
    setup.capacity = 100;
    setup.overflow = 500;
    add(cases, std::string("issuers-coalescing-gathering-rows-used-again-") + name, setup);
  }
}

void add_others(Cases& cases) {
  Setup setup{TestScenario::SingleStream, By::kThreads};
  setup.spin = 100 * kMicro;
  add(cases, "single-stream-threads-spinning", setup);
  setup.by = By::kRings;
  add(cases, "single-stream-rings-spinning", setup);
  setup = {TestScenario::Server, By::kThreads};
  setup.max = 64;
  setup.max_wait = 2 * kMilli;
  setup.workers = 4;
  add(cases, "server-threads-gathering", setup);
  setup = {TestScenario::Offline, By::kThreads};
  setup.capacity = 1'000;  // pushing must wait for completions
  setup.overflow = 300;
  add(cases, "offline-threads-rows-used-again", setup);
  setup.by = By::kRings;
  add(cases, "offline-rings-rows-used-again", setup);
  setup = {TestScenario::Server, By::kThreads, TestMode::SubmissionRun};
  add(cases, "server-threads-submission", setup);
}

}  // namespace

Cases loadgen_cases() {
  Cases cases;
  add_scenarios(cases);
  add_servers(cases);
  add_others(cases);
  return cases;
}

}  // namespace stress
