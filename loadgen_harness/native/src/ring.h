// Messages from one process to another through shared memory: a slab used round and round, whose free bytes are the
// writer's credits. A message is a kind and several byte arrays; one of any size goes through in fragments.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "memory.h"
#include "signal.h"

namespace lgh {

struct Bytes {
  const void* data;
  size_t size;
};

enum class Kind : uint32_t {
  kComplete = 1,    // parts: row numbers, data, offsets (or none: equal strides), token counts (or none)
  kFirstToken = 2,  // parts: row numbers, data, offsets
  kData = 3,        // whatever the two ends agree on
};

struct Message {
  Kind kind;
  int64_t time_ns;  // when it was written
  std::vector<Bytes> parts;
};

// One reading thread; writing threads of one process take turns.
class Ring {
 public:
  explicit Ring(size_t bytes);
  static Ring attach(int fd) { return Ring(fd, Attached{}); }

  int fd() const { return memory_.fd(); }

  // Blocks while the reader lags. Throws std::runtime_error once the ring is closed.
  void write(Kind kind, const std::vector<Bytes>& parts);

  // Whether a message of this size would go at once.
  bool room(size_t bytes) const;

  // The next message, waiting until `deadline_ns`; valid until release(). False: none in time, or closed and empty.
  bool read(Message* message, int64_t deadline_ns, int64_t spin_ns);
  void release();

  void close();
  bool closed() const { return header_->closed.load(std::memory_order_seq_cst) != 0; }

 private:
  struct Attached {};
  struct Header {
    alignas(64) std::atomic<uint64_t> written;  // bytes ever
    alignas(64) std::atomic<uint64_t> released;
    alignas(64) Signal data;
    alignas(64) Signal room;
    std::atomic<uint32_t> closed;
    uint64_t capacity;
  };
  struct Frame {
    uint64_t size;  // with this header, a multiple of 8
    uint64_t type;
  };
  struct Head {  // of a message, before the sizes of its parts and the parts, each padded to 8 bytes
    uint32_t kind;
    uint32_t parts;
    int64_t time_ns;
  };
  enum Type : uint64_t { kWhole, kMore, kLast, kPad };
  static constexpr size_t kSlab = 4096;

  Ring(int fd, Attached);
  uint8_t* reserve(size_t size);
  void commit(size_t size);
  void write_whole(const std::vector<Bytes>& pieces, size_t size);
  void write_fragments(const std::vector<Bytes>& pieces, size_t size);
  static void parse(const uint8_t* at, Message* message);

  Memory memory_;
  Header* header_;
  uint8_t* slab_;
  uint64_t capacity_;
  std::mutex writers_;
  std::vector<uint8_t> joined_;  // a message that came in fragments
  uint64_t held_ = 0;            // bytes of the message being read
};

}  // namespace lgh
