// What a faulty system under test may do: it is told with an exception or a complaint, and nothing crashes.
#include <atomic>

#include "harness.h"

namespace stress {

namespace {

constexpr size_t kMax = 8;

using Deed = std::function<void(lgh::Bridge&, const lgh::Responses&)>;

void nothing(lgh::Bridge&, const lgh::Responses&) {}

// A Server test of 0.3 s that two workers answer, with something done before and after each batch is completed.
struct Prank {
  size_t capacity = 1 << 16, overflow = 1 << 10;
  Deed before = nothing, after = nothing;
};

mlperf::TestSettings server() {
  mlperf::TestSettings made;
  made.scenario = mlperf::TestScenario::Server;
  made.mode = mlperf::TestMode::PerformanceOnly;
  made.min_duration_ms = 300;
  made.min_query_count = 50;
  made.server_target_qps = 5'000;
  made.server_target_latency_ns = 100 * kMilli;
  return made;
}

void serve(Harness& harness, const Prank& prank) {
  Answers answers(false);
  uint64_t ids[kMax];
  int64_t indices[kMax];
  while (size_t count = harness.table->next_batch(ids, indices, kMax, 0, 0)) {
    const lgh::Responses& made = answers.to(ids, indices, count);
    prank.before(*harness.bridge, made);
    harness.bridge->complete(made);
    prank.after(*harness.bridge, made);
  }
}

// A whole test; returns the harness for more pranks after its end.
std::unique_ptr<Harness> played(const Prank& prank, const std::string& folder) {
  auto harness = std::make_unique<Harness>(prank.capacity, prank.overflow);
  Threads workers;
  for (int i = 0; i < 2; ++i) workers.start([&] { serve(*harness, prank); });
  harness->run(server(), folder);
  harness->table->close();
  workers.join();
  expect(harness->progress[1] == harness->table->issued(), "a sample was counted twice");
  return harness;
}

void answer_twice(const std::string& folder) {
  Prank prank;
  prank.after = [](lgh::Bridge& bridge, const lgh::Responses& made) {
    expect(refused([&] { bridge.complete(made); }), "a second answer was taken");
    expect(refused([&] { bridge.first_token(made); }), "a token after the end was taken");
  };
  auto harness = played(prank, folder);
  expect(harness->complaints.empty(), harness->complaints);
}

// The row of an old answer holds another sample by now; that one must not be taken for answered.
void answer_twice_much_later(const std::string& folder) {
  Prank prank{20, 30};
  std::atomic<uint64_t> played_times{0};
  prank.before = [&](lgh::Bridge& bridge, const lgh::Responses& made) {
    if (made.rows[0] < 100) return;
    uint64_t old = made.rows[0] - 30;
    lgh::Responses again{&old, 1, made.data, 8, nullptr, nullptr, 0};
    expect(refused([&] { bridge.complete(again); }), "an answer to a sample of long ago was taken");
    ++played_times;
  };
  played(prank, folder);
  expect(played_times > 50, "the prank was not played");
}

void answer_unknown(const std::string& folder) {
  Prank prank;
  prank.after = [](lgh::Bridge& bridge, const lgh::Responses& made) {
    for (uint64_t number : {uint64_t{1} << 20, UINT64_MAX, made.rows[0] + (1 << 17)}) {
      lgh::Responses unknown{&number, 1, made.data, 8, nullptr, nullptr, 0};
      expect(refused([&] { bridge.complete(unknown); }), "an answer to nothing was taken");
      expect(refused([&] { bridge.first_token(unknown); }), "a token of nothing was taken");
    }
    bridge.complete({nullptr, 0, nullptr, 0, nullptr, nullptr, 0});  // nothing at all is fine
  };
  played(prank, folder);
}

void answer_after_the_end(const std::string& folder) {
  auto harness = played({}, folder);
  uint8_t data[8] = {};
  for (uint64_t number = 0; number < harness->table->issued() + 10; ++number) {
    lgh::Responses late{&number, 1, data, 8, nullptr, nullptr, 0};
    expect(refused([&] { harness->bridge->complete(late); }), "an answer after the end was taken");
    expect(refused([&] { harness->bridge->first_token(late); }), "a token after the end was taken");
  }
}

// A worker process writes what is no answer: the bridge complains, the thread that read it lives on, the test ends.
void nonsense_in_a_ring(const std::string& folder) {
  Harness harness(1 << 16, 1 << 10);
  auto good = std::make_shared<lgh::Ring>(1 << 16), bad = std::make_shared<lgh::Ring>(1 << 16);
  harness.bridge->listen(good, 0);
  harness.bridge->listen(bad, 0);
  Threads workers;
  workers.start([&] {
    Answers answers(false);
    uint64_t ids[kMax];
    int64_t indices[kMax];
    for (size_t batch = 0; size_t count = harness.table->next_batch(ids, indices, kMax, 0, 0); ++batch) {
      answers.to(ids, indices, count);
      lgh::Ring& ring = batch < 50 && batch % 2 ? *bad : *good;
      ring.write(lgh::Kind::kComplete, answers.parts());
      if (batch == 50) bad->write(lgh::Kind::kData, {{ids, 8}});
      if (batch > 50) bad->write(lgh::Kind::kComplete, answers.parts());  // nobody may be held up by a full ring
    }
  });
  harness.run(server(), folder);
  harness.table->close();
  workers.join();
  harness.bridge.reset();
  expect(harness.complaints.find("none") != std::string::npos, "no complaint: " + harness.complaints);
}

void unfit_sizes(const std::string&) {
  expect(refused([] {
           try {
             lgh::Ring small(100);
           } catch (const std::invalid_argument& error) {
             throw std::runtime_error(error.what());
           }
         }),
         "a ring of 100 bytes was made");
  expect(refused([] { lgh::Ring::attach(-1); }), "a ring of no descriptor was opened");
  expect(refused([] { lgh::Table table(-1); }), "a table of no descriptor was opened");
}

}  // namespace

Cases misuse_cases() {
  return {
      {"misuse/answer-twice", answer_twice},
      {"misuse/answer-twice-much-later", answer_twice_much_later},
      {"misuse/answer-unknown", answer_unknown},
      {"misuse/answer-after-the-end", answer_after_the_end},
      {"misuse/nonsense-in-a-ring", nonsense_in_a_ring},
      {"misuse/unfit-sizes", unfit_sizes},
  };
}

}  // namespace stress
