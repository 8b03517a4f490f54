#include "ring.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace lgh {

namespace {

constexpr uint64_t kZero = 0;

size_t padded(size_t size) { return (size + 7) / 8 * 8; }

}  // namespace

Ring::Ring(size_t bytes)
    : memory_(kSlab + padded(bytes)),
      header_(new (memory_.base()) Header()),
      slab_(memory_.base() + kSlab),
      capacity_(padded(bytes)) {
  if (bytes < 4096) throw std::invalid_argument("a ring needs at least 4096 bytes");
  header_->capacity = capacity_;
  memory_.populate(0, memory_.bytes());
}

Ring::Ring(int fd, Attached)
    : memory_(Memory::attach(fd)),
      header_(reinterpret_cast<Header*>(memory_.base())),
      slab_(memory_.base() + kSlab),
      capacity_(header_->capacity) {
  memory_.populate(0, memory_.bytes());
}

void Ring::write(Kind kind, const std::vector<Bytes>& parts) {
  Head head{static_cast<uint32_t>(kind), static_cast<uint32_t>(parts.size()), now_ns()};
  std::vector<uint64_t> sizes;
  std::vector<Bytes> pieces{{&head, sizeof(head)}, {&kZero, parts.size() * 8}};
  size_t size = sizeof(head) + parts.size() * 8;
  for (const Bytes& part : parts) {
    sizes.push_back(part.size);
    size_t padding = padded(part.size) - part.size;
    if (part.size) pieces.push_back(part);
    if (padding) pieces.push_back({&kZero, padding});
    size += padded(part.size);
  }
  if (!sizes.empty()) pieces[1].data = sizes.data();  // memcpy takes no null, not even for no bytes
  std::lock_guard<std::mutex> turn(writers_);
  if (sizeof(Frame) + size <= capacity_ / 4) {
    write_whole(pieces, size);
  } else {
    write_fragments(pieces, size);
  }
}

void Ring::write_whole(const std::vector<Bytes>& pieces, size_t size) {
  uint8_t* at = reserve(sizeof(Frame) + size);
  Frame frame{sizeof(Frame) + size, kWhole};
  std::memcpy(at, &frame, sizeof(frame));
  at += sizeof(frame);
  for (const Bytes& piece : pieces) {
    std::memcpy(at, piece.data, piece.size);
    at += piece.size;
  }
  commit(frame.size);
}

void Ring::write_fragments(const std::vector<Bytes>& pieces, size_t size) {
  const size_t most = capacity_ / 4 / 8 * 8 - sizeof(Frame);
  auto piece = pieces.begin();
  size_t taken = 0;  // of the piece
  while (size > 0) {
    size_t now = std::min(size, most);
    uint8_t* at = reserve(sizeof(Frame) + now);
    size -= now;
    Frame frame{sizeof(Frame) + now, size == 0 ? kLast : kMore};
    std::memcpy(at, &frame, sizeof(frame));
    at += sizeof(frame);
    for (size_t left = now; left > 0;) {
      size_t some = std::min(left, piece->size - taken);
      std::memcpy(at, static_cast<const uint8_t*>(piece->data) + taken, some);
      at += some;
      left -= some;
      taken += some;
      if (taken == piece->size) {
        ++piece;
        taken = 0;
      }
    }
    commit(frame.size);
  }
}

bool Ring::room(size_t bytes) const {
  uint64_t used = header_->written.load(std::memory_order_relaxed) - header_->released.load(std::memory_order_relaxed);
  return 2 * bytes + 4096 < capacity_ - used;  // leaves room for a pad and for what other writers are about to write
}

uint8_t* Ring::reserve(size_t size) {
  uint64_t at = header_->written.load(std::memory_order_relaxed);
  uint64_t offset = at % capacity_;
  size_t skipped = offset + size > capacity_ ? capacity_ - offset : 0;  // frames do not wrap around
  auto room = [&] {
    return at + skipped + size - header_->released.load(std::memory_order_seq_cst) <= capacity_ || closed();
  };
  header_->room.wait(room, kForever, 0);
  if (closed()) throw std::runtime_error("the other end of the ring is closed");
  if (skipped) {
    Frame pad{skipped, kPad};
    std::memcpy(slab_ + offset, &pad, std::min(sizeof(pad), skipped));
    header_->written.store(at + skipped, std::memory_order_release);
    offset = 0;
  }
  return slab_ + offset;
}

void Ring::commit(size_t size) {
  header_->written.store(header_->written.load(std::memory_order_relaxed) + size, std::memory_order_seq_cst);
  header_->data.notify(1);
}

bool Ring::read(Message* message, int64_t deadline_ns, int64_t spin_ns) {
  joined_.clear();
  while (true) {
    uint64_t at = header_->released.load(std::memory_order_relaxed);
    auto some = [&] { return header_->written.load(std::memory_order_seq_cst) != at || closed(); };
    if (!header_->data.wait(some, deadline_ns, spin_ns)) return false;
    if (header_->written.load(std::memory_order_acquire) == at) return false;  // closed and empty
    uint64_t offset = at % capacity_;
    Frame frame{capacity_ - offset, kPad};  // what is left at the end may be too short for a header
    if (capacity_ - offset >= sizeof(frame)) std::memcpy(&frame, slab_ + offset, sizeof(frame));
    const uint8_t* body = slab_ + offset + sizeof(frame);
    held_ = frame.size;
    if (frame.type == kWhole) {
      parse(body, message);
      return true;
    }
    if (frame.type != kPad) joined_.insert(joined_.end(), body, body + frame.size - sizeof(frame));
    release();
    if (frame.type == kLast) {
      parse(joined_.data(), message);
      return true;
    }
    if (frame.type == kMore) deadline_ns = kForever;  // the rest is on its way
  }
}

void Ring::release() {
  if (held_ == 0) return;
  header_->released.store(header_->released.load(std::memory_order_relaxed) + held_, std::memory_order_seq_cst);
  held_ = 0;
  header_->room.notify(1);
}

void Ring::close() {
  header_->closed.store(1, std::memory_order_seq_cst);
  header_->data.notify();
  header_->room.notify();
}

void Ring::parse(const uint8_t* at, Message* message) {
  Head head;
  std::memcpy(&head, at, sizeof(head));
  const uint8_t* sizes = at + sizeof(head);
  const uint8_t* part = sizes + head.parts * 8;
  message->kind = static_cast<Kind>(head.kind);
  message->time_ns = head.time_ns;
  message->parts.clear();
  for (uint32_t i = 0; i < head.parts; ++i) {
    uint64_t size;
    std::memcpy(&size, sizes + i * 8, sizeof(size));
    message->parts.push_back({part, size});
    part += padded(size);
  }
}

}  // namespace lgh
