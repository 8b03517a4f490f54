// The queue in front of the workers, which is the record of the run at the same time.
//
// Issued samples become rows of one table in shared memory, in order; taking a batch claims the next rows, and every
// stage leaves its time stamp in the row. So nothing is copied or allocated per sample, worker threads and worker
// processes take from the same place, and samples.npy is the table itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory.h"
#include "signal.h"

namespace lgh {

// One sample; the layout of samples.DTYPE. Stamps are CLOCK_MONOTONIC ns, 0 where not applicable.
struct Row {
  uint64_t id;  // LoadGen's response id; workers know a sample by the number of its row instead
  int64_t index;
  int64_t scheduled;
  int64_t issued;
  int64_t dequeued;
  int64_t started;
  int64_t computed;
  int64_t first_token;
  int64_t done;
  int32_t tokens;
  int32_t batch;
};
static_assert(sizeof(Row) == 80, "samples.DTYPE has 80 bytes");

struct Sample {
  uint64_t id;
  int64_t index;
  int64_t scheduled;
};

class Table {
 public:
  // The first `capacity` samples stay recorded; later ones share `overflow` rows, each used again when it is done.
  Table(size_t capacity, size_t overflow);
  explicit Table(int fd);  // as another process made it

  int fd() const { return memory_.fd(); }
  void populate(size_t rows) const;

  // Appends samples, sample(0) to sample(count - 1); one thread at a time. Blocks while the overflow is full of
  // unfinished samples.
  template <class Source>
  void push(size_t count, int64_t issued, Source sample) {
    if (flushed()) header_->flushed.store(0, std::memory_order_relaxed);
    uint64_t next = tail().load(std::memory_order_relaxed);
    for (size_t begin = 0; begin < count;) {
      size_t end = begin + kPiece < count ? begin + kPiece : count;
      size_t piece = end - begin;
      for (; begin < end; ++begin, ++next) {
        await_slot(next);
        fill(row(next), sample(begin), issued);
      }
      publish(next, piece);
    }
  }

  // The next rows, at most `max`, into ids (row numbers) and indices: waits for the first, then until the batch is full
  // or the oldest has waited max_wait_ns since its issue. 0: closed. Samples stay in the queue until the batch goes, so
  // that several waiting workers do not hold a part each; all of them ask for the same `max`.
  size_t next_batch(uint64_t* ids, int64_t* indices, size_t max, int64_t max_wait_ns, int64_t spin_ns);

  // The same without waiting; 0 where nothing is there.
  size_t try_batch(uint64_t* ids, int64_t* indices, size_t max);

  bool empty() const { return head().load(std::memory_order_seq_cst) == tail().load(std::memory_order_seq_cst); }
  void flush();  // no more samples follow soon: gathering batches go
  void close();  // next_batch returns 0 once the table is empty

  uint64_t issued() const { return tail().load(std::memory_order_acquire); }
  size_t recorded() const;  // rows that stay
  bool used_again(uint64_t number) const { return number >= capacity_ && issued() - number > overflow_; }
  Row& row(uint64_t number) const { return rows_[slot(number)]; }
  const Row* rows() const { return rows_; }

 private:
  struct Header {
    alignas(64) std::atomic<uint64_t> tail;
    alignas(64) std::atomic<uint64_t> head;
    alignas(64) Signal ready;                // a sample came
    alignas(64) Signal full;                 // as many as fill a batch are there
    std::atomic<uint64_t> batch;             // how many that is; 0: nobody waits for it
    alignas(64) std::atomic<uint32_t> flushed;
    std::atomic<uint32_t> closed;
    uint64_t capacity;
    uint64_t overflow;
  };
  static constexpr size_t kRows = 4096;  // offset of the first row
  static constexpr size_t kPiece = 4096;  // rows published at once, so that workers start before all are written

  std::atomic<uint64_t>& tail() const { return header_->tail; }
  std::atomic<uint64_t>& head() const { return header_->head; }
  uint64_t slot(uint64_t number) const {
    return number < capacity_ ? number : capacity_ + (number - capacity_) % overflow_;
  }
  bool closed() const { return header_->closed.load(std::memory_order_seq_cst) != 0; }
  bool flushed() const { return header_->flushed.load(std::memory_order_seq_cst) != 0; }
  static void fill(Row& made, const Sample& sample, int64_t issued) {
    made.id = sample.id;
    made.index = sample.index;
    made.scheduled = sample.scheduled;
    __atomic_store_n(&made.issued, issued, __ATOMIC_RELAXED);
    made.computed = made.first_token = 0;
    made.tokens = 0;
    __atomic_store_n(&made.done, 0, __ATOMIC_RELEASE);
  }
  void publish(uint64_t next, size_t count);
  void await_slot(uint64_t number) {
    if (number >= capacity_ + overflow_) await_old(number);
  }
  void await_old(uint64_t number);
  uint64_t waiting() const;
  void await_batch(size_t max, int64_t max_wait_ns, int64_t spin_ns);
  int64_t issued_of(uint64_t number) const { return __atomic_load_n(&row(number).issued, __ATOMIC_ACQUIRE); }
  bool due(uint64_t oldest, int64_t max_wait_ns) const;
  size_t claim(uint64_t* ids, int64_t* indices, size_t max, int64_t max_wait_ns, int64_t looking_since);

  Memory memory_;
  Header* header_;
  Row* rows_;
  uint64_t capacity_;
  uint64_t overflow_;
};

// Two threads may touch a row's stamps: one that computes and one that overwrites an overflow row once it is done.
inline int64_t done_of(const Row& row) { return __atomic_load_n(&row.done, __ATOMIC_ACQUIRE); }
inline void set_done(Row& row, int64_t now) { __atomic_store_n(&row.done, now, __ATOMIC_RELEASE); }

}  // namespace lgh
