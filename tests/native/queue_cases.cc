// The table: every sample is taken once, in batches that keep the policy, by threads and by processes.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "stress.h"
#include "table.h"

namespace stress {

namespace {

struct Load {
  const char* name;
  size_t pushers, takers, samples;
  size_t query;  // samples at once, at most
  size_t max;
  int64_t max_wait, spin;
  size_t capacity, overflow;
  int64_t pause = 0;  // between queries
};

constexpr uint64_t factor = 7;  // of an index, so that rows and indices differ

// How often each sample was taken; shared with child processes.
class Tally {
 public:
  explicit Tally(size_t size) : memory_(size), counts_(reinterpret_cast<std::atomic<uint8_t>*>(memory_.base())) {}
  void add(uint64_t number) { counts_[number].fetch_add(1, std::memory_order_relaxed); }
  void expect_ones() const {
    for (size_t i = 0; i < memory_.bytes(); ++i) {
      int times = counts_[i].load(std::memory_order_relaxed);
      expect(times == 1, "sample " + std::to_string(i) + " was taken " + std::to_string(times) + " times");
    }
  }

 private:
  lgh::Memory memory_;
  std::atomic<uint8_t>* counts_;
};

// Pushes the samples from `next` on until `load.samples`, in queries of random size.
void push(lgh::Table& table, const Load& load, std::mutex& turn, uint64_t& next, uint64_t seed) {
  Random random(seed);
  while (true) {
    {
      std::lock_guard<std::mutex> mine(turn);
      size_t count = std::min<uint64_t>(1 + random.below(load.query), load.samples - next);
      if (count == 0) return;
      uint64_t first = next;
      int64_t now = lgh::now_ns();
      table.push(count, now, [&](size_t i) {
        return lgh::Sample{first + i, static_cast<int64_t>((first + i) * factor), now};
      });
      next += count;
    }
    if (load.pause) sleep_ns(static_cast<int64_t>(random.below(2 * load.pause)));
  }
}

void check(const lgh::Row& row, uint64_t number, int64_t index, size_t count) {
  expect(row.id == number && row.index == index && index == static_cast<int64_t>(number * factor),
         "row " + std::to_string(number) + " holds sample " + std::to_string(row.id));
  expect(row.issued <= row.dequeued && row.dequeued <= row.started, "stamps out of order");
  expect(row.batch == static_cast<int32_t>(count), "a wrong batch size");
}

// What every batch must be, seen by who took it; a batch that is not full may go when its oldest sample is due.
void check_batch(const lgh::Table& table, const Load& load, const std::vector<uint64_t>& ids,
                 const std::vector<int64_t>& indices, size_t count, bool ending) {
  expect(count <= load.max, "a batch is too large");
  for (size_t i = 0; i < count; ++i) {
    expect(ids[i] == ids[0] + i, "a batch has holes");
    check(table.row(ids[i]), ids[i], indices[i], count);
  }
  const lgh::Row& oldest = table.row(ids[0]);
  bool due = oldest.started >= oldest.issued + load.max_wait;
  expect(count == load.max || due || ending, "a batch of " + std::to_string(count) + " went before its time");
}

void finish(lgh::Row& row) {
  row.computed = lgh::now_ns();
  lgh::set_done(row, lgh::now_ns());
}

void take(lgh::Table& table, const Load& load, Tally& tally, const std::atomic<bool>& ending, uint64_t seed) {
  Random random(seed);
  std::vector<uint64_t> ids(load.max);
  std::vector<int64_t> indices(load.max);
  std::string wrong;  // told at the end: who stops taking stops all others
  while (size_t count = table.next_batch(ids.data(), indices.data(), load.max, load.max_wait, load.spin)) {
    try {
      check_batch(table, load, ids, indices, count, ending.load());
    } catch (const std::runtime_error& error) {
      wrong = error.what();
    }
    if (random.one_in(50)) sleep_ns(static_cast<int64_t>(random.below(200 * kMicro)));
    for (size_t i = 0; i < count; ++i) {
      tally.add(ids[i]);
      finish(table.row(ids[i]));
    }
  }
  expect(wrong.empty(), wrong);
}

void check_record(const lgh::Table& table, const Load& load) {
  expect(table.issued() == load.samples, "samples were lost before the queue");
  expect(table.recorded() == std::min(load.samples, load.capacity), "another number of rows is recorded");
  for (size_t i = 0; i < table.recorded(); ++i) {
    const lgh::Row& row = table.rows()[i];
    check(row, i, row.index, static_cast<size_t>(row.batch));
    expect(row.started <= row.computed && row.computed <= lgh::done_of(row), "stamps out of order at the end");
  }
}

void by_threads(const Load& load) {
  lgh::Table table(load.capacity, load.overflow);
  table.populate(load.capacity + load.overflow);
  Tally tally(load.samples);
  std::atomic<bool> ending{false};
  std::mutex turn;
  uint64_t next = 0;
  Threads takers, pushers;
  for (size_t i = 0; i < load.takers; ++i) takers.start([&, i] { take(table, load, tally, ending, i); });
  for (size_t i = 0; i < load.pushers; ++i) pushers.start([&, i] { push(table, load, turn, next, 100 + i); });
  pushers.join();
  ending = true;
  table.flush();
  table.close();
  takers.join();
  tally.expect_ones();
  check_record(table, load);
}

// The same with takers in processes of their own, which map the table through its descriptor.
void by_processes(const Load& load) {
  lgh::Table table(load.capacity, load.overflow);
  Tally tally(load.samples);
  const std::atomic<bool> always{true};
  std::vector<Child> takers;
  for (size_t i = 0; i < load.takers; ++i) {
    takers.emplace_back([&, i] {
      lgh::Table mine(table.fd());
      take(mine, load, tally, always, i);
    });
  }
  std::mutex turn;
  uint64_t next = 0;
  push(table, load, turn, next, 100);
  table.flush();
  table.close();
  for (const Child& taker : takers) taker.join();
  tally.expect_ones();
  check_record(table, load);
}

// Samples come seldom: each batch goes soon after its oldest sample is due.
void deadline(const Load& load) {
  lgh::Table table(load.samples, 1);
  Tally tally(load.samples);
  const std::atomic<bool> ending{false};
  Threads takers;
  for (size_t i = 0; i < load.takers; ++i) takers.start([&, i] { take(table, load, tally, ending, i); });
  std::mutex turn;
  uint64_t next = 0;
  push(table, load, turn, next, 1);
  while (!table.empty()) sleep_ns(kMilli);
  table.close();
  takers.join();
  std::vector<int64_t> late;
  for (size_t i = 0; i < load.samples; i += static_cast<size_t>(table.rows()[i].batch)) {
    late.push_back(table.rows()[i].started - table.rows()[i].issued - load.max_wait);
  }
  std::sort(late.begin(), late.end());
  expect(late[late.size() / 2] < 5 * kMilli, "half of the batches go later than 5 ms after their time");
  expect(late.back() < kSecond, "a batch went " + std::to_string(late.back()) + " ns after its time");
}

lgh::Sample nothing(size_t) { return {0, 0, 0}; }

// Takers that would gather for an hour go when told that nothing follows.
void flush_ends_gathering(int64_t spin) {
  lgh::Table table(64, 8);
  std::atomic<size_t> taken{0};
  std::atomic<int64_t> flushed{0};
  Threads takers;
  for (int i = 0; i < 3; ++i) {
    takers.start([&] {
      uint64_t ids[16];
      int64_t indices[16];
      while (size_t count = table.next_batch(ids, indices, 16, kHour, spin)) {
        expect(flushed.load() != 0, "a batch went before it was full");
        taken += count;
      }
    });
  }
  for (size_t round = 1; round <= 3; ++round) {
    flushed = 0;
    for (int i = 0; i < 5; ++i) table.push(1, lgh::now_ns(), nothing);
    sleep_ns(20 * kMilli);
    flushed = lgh::now_ns();
    table.flush();
    while (taken != 5 * round && lgh::now_ns() < flushed + 2 * kSecond) sleep_ns(kMilli);
    expect(taken == 5 * round, "flush did not end the wait");
  }
  table.close();
  takers.join();
}

// Takers end, whether they wait for a first sample or for more of them.
void close_ends_waits(int64_t spin, bool gathering) {
  lgh::Table table(64, 8);
  std::atomic<size_t> taken{0};
  Threads takers;
  for (int i = 0; i < 4; ++i) {
    takers.start([&, i] {
      uint64_t ids[16];
      int64_t indices[16];
      while (size_t count = table.next_batch(ids, indices, 16, i % 2 ? kHour : 0, spin)) taken += count;
    });
  }
  if (gathering) table.push(3, lgh::now_ns(), nothing);
  sleep_ns(20 * kMilli);
  int64_t began = lgh::now_ns();
  table.close();
  takers.join();
  expect(lgh::now_ns() - began < 2 * kSecond, "close did not end the wait");
  expect(taken == (gathering ? 3 : 0), "close lost samples");
}

}  // namespace

Cases queue_cases() {
  // name, pushers, takers, samples, query, max, max_wait, spin, capacity, overflow, pause
  const Load threads[] = {
      {"one-to-one", 1, 1, 200'000, 1, 8, 0, 0, 200'000, 1},
      {"one-to-one-spinning", 1, 1, 100'000, 1, 8, 0, 20 * kMicro, 100'000, 1},
      {"many-to-many", 3, 4, 200'000, 40, 16, 0, 0, 200'000, 64},
      {"many-to-many-spinning", 3, 4, 50'000, 40, 16, 0, 10 * kMicro, 50'000, 64},
      {"gathering", 3, 4, 100'000, 5, 16, 2 * kMilli, 0, 100'000, 64},
      {"gathering-spinning", 2, 3, 50'000, 5, 16, 2 * kMilli, 50 * kMicro, 50'000, 64},
      {"rows-used-again", 3, 4, 100'000, 20, 8, 0, 0, 100, 64},
      {"one-row-used-again", 1, 2, 2'000, 3, 8, 0, 0, 0, 1},
      {"gathering-more-than-fit", 2, 3, 2'000, 20, 64, kMilli, 0, 10, 16},
      {"rows-used-again-while-gathering", 2, 4, 20'000, 20, 8, kMilli, 10 * kMicro, 50, 24},
      {"large-queries", 2, 3, 400'000, 60'000, 4'096, kMilli, 0, 100'000, 20'000},
  };
  const Load processes[] = {
      {"processes", 1, 3, 100'000, 10, 16, 0, 0, 100'000, 64},
      {"processes-gathering", 1, 3, 50'000, 10, 16, kMilli, 20 * kMicro, 1'000, 256},
  };
  const Load idle[] = {
      {"deadline", 1, 1, 300, 2, 64, 3 * kMilli, 0, 300, 1, kMilli},
      {"deadline-several-takers", 1, 4, 300, 2, 64, 3 * kMilli, 0, 300, 1, kMilli},
      {"deadline-spinning", 1, 2, 300, 2, 64, 3 * kMilli, 5 * kMilli, 300, 1, kMilli},
  };
  Cases cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({"queue/" + name, [run](auto&) { run(); }}); };
  for (const Load& load : threads) add(load.name, [load] { by_threads(load); });
  for (const Load& load : processes) add(load.name, [load] { by_processes(load); });
  for (const Load& load : idle) add(load.name, [load] { deadline(load); });
  add("flush", [] { flush_ends_gathering(0); });
  add("flush-spinning", [] { flush_ends_gathering(100 * kMicro); });
  add("close", [] { close_ends_waits(0, false); });
  add("close-spinning", [] { close_ends_waits(kHour, false); });
  add("close-gathering", [] { close_ends_waits(0, true); });
  return cases;
}

}  // namespace stress
