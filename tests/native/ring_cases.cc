// The ring: messages of any size arrive whole and in order, and a closed ring lets nobody wait.
#include "ring.h"

#include <atomic>
#include <cstring>
#include <memory>

#include "stress.h"

namespace stress {

namespace {

struct Traffic {
  const char* name;
  size_t writers, messages;  // messages of each writer
  size_t slab, largest;      // bytes; of a part
  int64_t spin;
  int64_t lag = 0;  // of the reader, now and then
};

struct Label {
  uint64_t writer, number;
};

// What a message holds besides its label; both ends make it up from the label.
std::vector<std::vector<uint8_t>> content(const Label& label, size_t largest) {
  Random random(label.writer * 1'000'003 + label.number);
  std::vector<std::vector<uint8_t>> parts(random.below(5));
  for (auto& part : parts) {
    size_t size = random.one_in(4) ? 0 : random.below(random.one_in(8) ? largest : largest / 16 + 2);
    auto seed = static_cast<uint8_t>(random.below(256));
    part.resize(size);
    for (size_t i = 0; i < size; ++i) part[i] = static_cast<uint8_t>(seed + i * 31);
  }
  return parts;
}

void write_all(lgh::Ring& ring, const Traffic& traffic, uint64_t writer) {
  for (uint64_t number = 0; number < traffic.messages; ++number) {
    Label label{writer, number};
    auto parts = content(label, traffic.largest);
    std::vector<lgh::Bytes> pieces{{&label, sizeof(label)}};
    for (const auto& part : parts) pieces.push_back({part.data(), part.size()});
    ring.write(lgh::Kind::kData, pieces);
    if (number % 100 == 0) ring.write(lgh::Kind::kFirstToken, {});  // a message of no part
  }
}

void check_message(const lgh::Message& message, std::vector<uint64_t>& next, size_t largest) {
  Label label;
  expect(!message.parts.empty() && message.parts[0].size == sizeof(label), "a message has no label");
  std::memcpy(&label, message.parts[0].data, sizeof(label));
  expect(label.writer < next.size() && label.number == next[label.writer]++, "messages out of order");
  auto wanted = content(label, largest);
  expect(message.parts.size() == wanted.size() + 1, "a message has another number of parts");
  for (size_t i = 0; i < wanted.size(); ++i) {
    const lgh::Bytes& part = message.parts[i + 1];
    expect(part.size == wanted[i].size(), "a part came in another size");
    expect(wanted[i].empty() || std::memcmp(part.data, wanted[i].data(), part.size) == 0, "a part came altered");
  }
}

void read_all(lgh::Ring& ring, const Traffic& traffic) {
  std::vector<uint64_t> next(traffic.writers);
  size_t left = traffic.writers * traffic.messages;
  size_t empty = traffic.writers * ((traffic.messages + 99) / 100);
  Random random(1);
  lgh::Message message;
  while (left + empty > 0) {
    bool patient = random.one_in(2);
    if (!ring.read(&message, patient ? lgh::kForever : lgh::now_ns() + 100 * kMicro, traffic.spin)) {
      expect(!patient, "the ring ended early");
      continue;
    }
    if (traffic.lag && random.one_in(20)) sleep_ns(static_cast<int64_t>(random.below(traffic.lag)));
    if (message.kind == lgh::Kind::kFirstToken) {
      expect(message.parts.empty() && empty-- > 0, "an empty message has parts");
    } else {
      check_message(message, next, traffic.largest);
      --left;
    }
    ring.release();
  }
}

void write_from_threads(lgh::Ring& ring, const Traffic& traffic) {
  Threads writers;
  for (size_t i = 0; i < traffic.writers; ++i) writers.start([&, i] { write_all(ring, traffic, i); });
  writers.join();
}

// Two mappings of one memory, or one where ThreadSanitizer shall see who synchronizes with whom.
void among_threads(const Traffic& traffic) {
  lgh::Ring ring(traffic.slab);
  std::unique_ptr<lgh::Ring> other;
  if (!kThreadSanitizer) other.reset(new lgh::Ring(lgh::Ring::attach(ring.fd())));
  Threads reader;
  reader.start([&] { read_all(other ? *other : ring, traffic); });
  write_from_threads(ring, traffic);
  reader.join();
}

void to_a_child(const Traffic& traffic) {
  lgh::Ring ring(traffic.slab);
  Child child([&] {
    lgh::Ring end = lgh::Ring::attach(ring.fd());
    read_all(end, traffic);
  });
  write_from_threads(ring, traffic);
  child.join();
}

void from_a_child(const Traffic& traffic) {
  lgh::Ring ring(traffic.slab);
  Child child([&] {
    lgh::Ring end = lgh::Ring::attach(ring.fd());
    write_from_threads(end, traffic);
  });
  read_all(ring, traffic);
  child.join();
}

// Writers that wait for room, in a whole message or amid fragments, are told.
void close_ends_writing(size_t size) {
  lgh::Ring ring(4096);
  std::vector<uint8_t> bytes(size);
  std::atomic<int> told{0};
  Threads writers;
  for (int i = 0; i < 3; ++i) {
    writers.start([&] {
      told += refused([&] {
        while (true) ring.write(lgh::Kind::kData, {{bytes.data(), bytes.size()}});
      });
    });
  }
  sleep_ns(30 * kMilli);
  ring.close();
  writers.join();
  expect(told == 3, "a writer was not told");
  lgh::Message message;
  while (ring.read(&message, lgh::kForever, 0)) {
    expect(message.parts.size() == 1 && message.parts[0].size == size, "a torn message was read");
    ring.release();
  }
}

void close_ends_reading(int64_t spin) {
  lgh::Ring ring(4096);
  Threads reader;
  reader.start([&] {
    lgh::Message message;
    expect(ring.read(&message, lgh::kForever, spin), "what was written before the end is lost");
    ring.release();
    expect(!ring.read(&message, lgh::kForever, spin), "a message came from nowhere");
  });
  ring.write(lgh::Kind::kData, {});
  sleep_ns(30 * kMilli);
  ring.close();
  reader.join();
}

void deadline() {
  lgh::Ring ring(4096);
  lgh::Message message;
  for (int64_t spin : {int64_t{0}, kMilli, kHour}) {
    int64_t began = lgh::now_ns();
    expect(!ring.read(&message, began + 5 * kMilli, spin), "a message came from nowhere");
    int64_t took = lgh::now_ns() - began;
    expect(took >= 5 * kMilli && took < kSecond, "a deadline of 5 ms took " + std::to_string(took) + " ns");
  }
}

}  // namespace

Cases ring_cases() {
  // name, writers, messages, slab, largest, spin, lag
  const Traffic threads[] = {
      {"small", 1, 50'000, 1 << 16, 200, 0},
      {"small-spinning", 1, 50'000, 1 << 16, 200, 50 * kMicro},
      {"tiny-slab", 1, 5'000, 4096, 3'000, 0},
      {"odd-slab", 2, 5'000, 4104, 3'000, 0},
      {"many-writers", 6, 3'000, 8192, 2'000, 0},
      {"many-writers-slow-reader", 4, 1'000, 8192, 10'000, 0, 300 * kMicro},
      {"several-slabs", 3, 300, 4096, 20'000, 0},
      {"several-large-slabs", 2, 60, 1 << 20, 4 << 20, 20 * kMicro},
  };
  const Traffic processes[] = {
      {"small", 1, 50'000, 1 << 16, 200, 0},
      {"many-writers-slow-reader", 4, 1'000, 8192, 10'000, 20 * kMicro, 300 * kMicro},
      {"several-slabs", 3, 300, 4096, 20'000, 0},
  };
  Cases cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({"ring/" + name, [run](auto&) { run(); }}); };
  for (const Traffic& traffic : threads) add(traffic.name, [traffic] { among_threads(traffic); });
  for (const Traffic& traffic : processes) {
    add(std::string("to-a-child-") + traffic.name, [traffic] { to_a_child(traffic); });
    add(std::string("from-a-child-") + traffic.name, [traffic] { from_a_child(traffic); });
  }
  add("close-while-writing", [] { close_ends_writing(100); });
  add("close-while-writing-fragments", [] { close_ends_writing(50'000); });
  add("close-while-reading", [] { close_ends_reading(0); });
  add("close-while-reading-spinning", [] { close_ends_reading(kHour); });
  add("deadline", deadline);
  return cases;
}

}  // namespace stress
