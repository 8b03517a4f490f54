// Anonymous shared memory that other processes map through its file descriptor.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace lgh {

class Memory {
 public:
  explicit Memory(size_t bytes) : fd_(memfd_create("loadgen-harness", MFD_CLOEXEC)), bytes_(bytes) {
    if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("shared memory cannot be made");
    map();
  }

  // Maps what another process made; takes over a duplicate of `fd`.
  static Memory attach(int fd) { return Memory(fd, Attached{}); }

  Memory(Memory&& other) noexcept : fd_(other.fd_), bytes_(other.bytes_), base_(other.base_) {
    other.fd_ = -1;
    other.base_ = nullptr;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (base_) munmap(base_, bytes_);
    if (fd_ >= 0) ::close(fd_);
  }

  uint8_t* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  int fd() const { return fd_; }

  // Gives [begin, begin + bytes) its pages now, so that the hot path does not fault them in one by one.
  void populate(size_t begin, size_t bytes) const {
    constexpr size_t page = 4096;
    size_t first = begin / page * page;
    size_t last = begin + bytes < bytes_ ? begin + bytes : bytes_;
    if (last <= first) return;
    if (madvise(base_ + first, last - first, 23 /* MADV_POPULATE_WRITE, Linux 5.14 */) == 0) return;
    for (size_t at = first; at < last; at += page) {
      auto* word = reinterpret_cast<volatile uint8_t*>(base_ + at);
      *word = *word;
    }
  }

 private:
  struct Attached {};
  Memory(int fd, Attached) : fd_(fcntl(fd, F_DUPFD_CLOEXEC, 0)), bytes_(0) {
    struct stat about;
    if (fd_ < 0 || fstat(fd_, &about) != 0) fail("shared memory cannot be opened");
    bytes_ = static_cast<size_t>(about.st_size);
    map();
  }

  void map() {
    void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
    if (at == MAP_FAILED) fail("shared memory cannot be mapped");
    base_ = static_cast<uint8_t*>(at);
  }

  [[noreturn]] void fail(const char* what) {
    int code = errno;
    if (fd_ >= 0) ::close(fd_);
    throw std::system_error(code, std::generic_category(), what);
  }

  int fd_;
  size_t bytes_;
  uint8_t* base_ = nullptr;
};

}  // namespace lgh
