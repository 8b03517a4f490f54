#include "table.h"

#include <time.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace lgh {

Table::Table(size_t capacity, size_t overflow)
    : memory_(kRows + (capacity + overflow) * sizeof(Row)),
      header_(new (memory_.base()) Header()),
      rows_(reinterpret_cast<Row*>(memory_.base() + kRows)),
      capacity_(capacity),
      overflow_(overflow) {
  if (overflow == 0) throw std::invalid_argument("a table needs overflow rows");
  header_->capacity = capacity;
  header_->overflow = overflow;
}

Table::Table(int fd)
    : memory_(Memory::attach(fd)),
      header_(reinterpret_cast<Header*>(memory_.base())),
      rows_(reinterpret_cast<Row*>(memory_.base() + kRows)),
      capacity_(header_->capacity),
      overflow_(header_->overflow) {}

void Table::populate(size_t rows) const {
  memory_.populate(0, kRows + std::min<size_t>(rows, capacity_ + overflow_) * sizeof(Row));
}

size_t Table::recorded() const { return std::min<uint64_t>(issued(), capacity_); }

void Table::publish(uint64_t next, size_t count) {
  tail().store(next, std::memory_order_seq_cst);
  header_->ready.notify(count == 1 ? 1 : INT_MAX);
  uint64_t batch = header_->batch.load(std::memory_order_seq_cst);
  if (batch && waiting() >= batch) header_->full.notify();
}

void Table::await_old(uint64_t number) {
  const Row& old = row(number);
  while (done_of(old) == 0) {
    publish(number, INT_MAX);  // what stands before it is written, so workers can go on
    timespec nap{0, 20'000};
    nanosleep(&nap, nullptr);
  }
}

uint64_t Table::waiting() const {
  uint64_t taken = head().load(std::memory_order_seq_cst);
  return tail().load(std::memory_order_seq_cst) - taken;
}

// Whether a batch that is not full may go: another worker may have taken the samples that this one waited with.
bool Table::due(uint64_t oldest, int64_t max_wait_ns) const {
  return max_wait_ns <= 0 || flushed() || closed() || now_ns() - issued_of(oldest) >= max_wait_ns;
}

size_t Table::claim(uint64_t* ids, int64_t* indices, size_t max, int64_t max_wait_ns, int64_t looking_since) {
  uint64_t first = head().load(std::memory_order_acquire);  // the tail that is read next must be no older
  uint64_t count = 0;
  do {
    count = std::min<uint64_t>(max, tail().load(std::memory_order_acquire) - first);
    if (count == 0 || (count < max && !due(first, max_wait_ns))) return 0;
  } while (!head().compare_exchange_weak(first, first + count, std::memory_order_acq_rel, std::memory_order_acquire));
  int64_t now = now_ns();
  for (uint64_t i = 0; i < count; ++i) {
    Row& taken = row(first + i);
    taken.dequeued = std::min(now, std::max(taken.issued, looking_since));
    taken.started = now;
    taken.batch = static_cast<int32_t>(count);
    ids[i] = first + i;
    indices[i] = taken.index;
  }
  return count;
}

size_t Table::try_batch(uint64_t* ids, int64_t* indices, size_t max) { return claim(ids, indices, max, 0, kForever); }

size_t Table::next_batch(uint64_t* ids, int64_t* indices, size_t max, int64_t max_wait_ns, int64_t spin_ns) {
  int64_t looking_since = now_ns();
  while (true) {
    header_->ready.wait([&] { return !empty() || closed(); }, kForever, spin_ns);
    if (max_wait_ns > 0 && waiting() < max) await_batch(max, max_wait_ns, spin_ns);
    size_t count = claim(ids, indices, max, max_wait_ns, looking_since);
    if (count || (closed() && empty())) return count;
  }
}

void Table::await_batch(size_t max, int64_t max_wait_ns, int64_t spin_ns) {
  header_->batch.store(max, std::memory_order_seq_cst);
  uint64_t oldest = head().load(std::memory_order_acquire);
  if (oldest == tail().load(std::memory_order_acquire)) return;
  int64_t deadline = issued_of(oldest) + max_wait_ns;
  if (oldest != head().load(std::memory_order_acquire)) return;  // taken: the row may hold a later sample by now
  auto go = [&] { return waiting() >= max || flushed() || closed(); };
  header_->full.wait(go, deadline, spin_ns);
}

void Table::flush() {
  header_->flushed.store(1, std::memory_order_seq_cst);
  header_->full.notify();
}

void Table::close() {
  header_->closed.store(1, std::memory_order_seq_cst);
  header_->ready.notify();
  header_->full.notify();
}

}  // namespace lgh
