// FileSystem over the system calls. Linux: fallocate, flock, pwritev.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/file_system.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr size_t kAppendBufferBytes = 64 << 10;  // what LevelDB's own environment uses
constexpr size_t kPiecesPerCall = 512;           // below IOV_MAX, 1024 on Linux
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return absl::StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return absl::StatusCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EWOULDBLOCK:
      return absl::StatusCode::kUnavailable;
    case EIO:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

// "sync /var/lib/ring/log/4.segment: Input/output error (EIO)"-like, from errno.
absl::Status ErrnoStatus(absl::string_view call, absl::string_view path, int error = errno) {
  return absl::Status(CodeOf(error), absl::StrCat(call, " ", path, ": ", strerror(error)));
}

// Calls until a signal no longer interrupts it.
template <typename Call>
auto Retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // The descriptor is gone whatever close says, EINTR included: that is how Linux does it.
  int Close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> OpenDescriptor(absl::string_view path, int flags) {
  const int fd =
      Retry([&] { return ::open(std::string(path).c_str(), flags | O_CLOEXEC, kFileMode); });
  if (fd < 0) return ErrnoStatus("open", path);
  return Descriptor(fd);
}

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = Retry([&] {
        return ::pread(descriptor_.get(), out.data() + done, out.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0) return ErrnoStatus("read", path_);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

 private:
  const std::string path_;
  const Descriptor descriptor_;
};

// Takes `bytes` off the front of the pieces.
void Advance(std::vector<iovec>& pieces, size_t& first, size_t bytes) {
  while (first < pieces.size() && bytes >= pieces[first].iov_len) {
    bytes -= pieces[first++].iov_len;
  }
  if (bytes > 0) {
    pieces[first].iov_base = static_cast<char*>(pieces[first].iov_base) + bytes;
    pieces[first].iov_len -= bytes;
  }
}

// Writes zeros where fallocate isn't offered (some network and overlay file systems).
absl::Status FillWithZeros(int fd, absl::string_view path, uint64_t from, uint64_t to) {
  const std::string zeros(std::min<uint64_t>(to - from, 1 << 20), '\0');
  while (from < to) {
    const size_t size = std::min<uint64_t>(zeros.size(), to - from);
    const ssize_t put =
        Retry([&] { return ::pwrite(fd, zeros.data(), size, static_cast<off_t>(from)); });
    if (put < 0) return ErrnoStatus("preallocate", path);
    from += static_cast<uint64_t>(put);
  }
  return absl::OkStatus();
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor descriptor, uint64_t size_bytes)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), size_bytes_(size_bytes) {}

  // As for a stdio stream: what was appended reaches the system. Close() is for whoever needs to
  // know whether it did.
  ~PosixWritableFile() override {
    if (descriptor_.get() >= 0) Flush().IgnoreError();
  }

  absl::Status Append(absl::string_view data) override {
    if (buffer_.size() + data.size() <= kAppendBufferBytes) {
      buffer_.append(data.data(), data.size());
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(Flush());
    if (data.size() < kAppendBufferBytes) {
      buffer_.assign(data.data(), data.size());
      return absl::OkStatus();
    }
    return WriteThrough(size_bytes_, {&data, 1});
  }

  absl::Status WriteAt(uint64_t offset, absl::Span<const absl::string_view> pieces) override {
    RETURN_IF_ERROR(Flush());
    return WriteThrough(offset, pieces);
  }

  absl::Status Flush() override {
    if (buffer_.empty()) return absl::OkStatus();
    const absl::string_view data = buffer_;
    const absl::Status status = WriteThrough(size_bytes_, {&data, 1});
    buffer_.clear();  // after a failure too: nobody knows how much of it was written
    return status;
  }

  absl::Status Sync() override {
    RETURN_IF_ERROR(Flush());
    if (Retry([&] { return ::fdatasync(descriptor_.get()); }) < 0) {
      return ErrnoStatus("sync", path_);
    }
    return absl::OkStatus();
  }

  absl::Status Preallocate(uint64_t size_bytes) override {
    RETURN_IF_ERROR(Flush());
    if (size_bytes <= size_bytes_) return absl::OkStatus();
    const int result = Retry([&] {
      return ::fallocate(descriptor_.get(), 0, static_cast<off_t>(size_bytes_),
                         static_cast<off_t>(size_bytes - size_bytes_));
    });
    if (result < 0 && errno != EOPNOTSUPP) return ErrnoStatus("preallocate", path_);
    if (result < 0) {
      RETURN_IF_ERROR(FillWithZeros(descriptor_.get(), path_, size_bytes_, size_bytes));
    }
    size_bytes_ = size_bytes;
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size_bytes) override {
    RETURN_IF_ERROR(Flush());
    if (Retry([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size_bytes)); }) < 0) {
      return ErrnoStatus("truncate", path_);
    }
    size_bytes_ = size_bytes;
    return absl::OkStatus();
  }

  absl::Status Close() override {
    RETURN_IF_ERROR(Flush());
    if (descriptor_.Close() < 0 && errno != EINTR) return ErrnoStatus("close", path_);
    return absl::OkStatus();
  }

 private:
  absl::Status WriteThrough(uint64_t offset, absl::Span<const absl::string_view> pieces) {
    std::vector<iovec> vectors;
    vectors.reserve(pieces.size());
    for (const absl::string_view piece : pieces) {
      if (!piece.empty()) vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
    }
    size_t first = 0;
    while (first < vectors.size()) {
      const int count = static_cast<int>(std::min(vectors.size() - first, kPiecesPerCall));
      const ssize_t put = Retry([&] {
        return ::pwritev(descriptor_.get(), &vectors[first], count, static_cast<off_t>(offset));
      });
      if (put < 0) return ErrnoStatus("write", path_);
      offset += static_cast<uint64_t>(put);
      Advance(vectors, first, static_cast<size_t>(put));
      size_bytes_ = std::max(size_bytes_, offset);
    }
    return absl::OkStatus();
  }

  const std::string path_;
  Descriptor descriptor_;
  uint64_t size_bytes_;  // without what is in buffer_
  std::string buffer_;   // appended and not yet written
};

class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // closing it releases the lock
};

int FlagsOf(WriteMode mode) {
  switch (mode) {
    case WriteMode::kCreate:
      return O_WRONLY | O_CREAT | O_EXCL;
    case WriteMode::kTruncate:
      return O_WRONLY | O_CREAT | O_TRUNC;
    case WriteMode::kAppend:
      return O_WRONLY | O_CREAT;
  }
  CHECK(false) << "no such mode";
}

class Posix : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) override {
    ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(path, O_RDONLY));
    return std::make_unique<PosixRandomAccessFile>(std::string(path), std::move(descriptor));
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                             WriteMode mode) override {
    ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(path, FlagsOf(mode)));
    struct stat info;
    if (::fstat(descriptor.get(), &info) < 0) return ErrnoStatus("stat", path);
    return std::make_unique<PosixWritableFile>(std::string(path), std::move(descriptor),
                                               static_cast<uint64_t>(info.st_size));
  }

  absl::StatusOr<bool> Exists(absl::string_view path) override {
    struct stat info;
    if (::stat(std::string(path).c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return ErrnoStatus("stat", path);
  }

  absl::StatusOr<uint64_t> FileSize(absl::string_view path) override {
    struct stat info;
    if (::stat(std::string(path).c_str(), &info) < 0) return ErrnoStatus("stat", path);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::StatusOr<bool> IsDirectory(absl::string_view path) override {
    struct stat info;
    if (::stat(std::string(path).c_str(), &info) < 0) return ErrnoStatus("stat", path);
    return S_ISDIR(info.st_mode);
  }

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    if (::rename(std::string(from).c_str(), std::string(to).c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus("rename", absl::StrCat(from, " to ", to));
  }

  absl::Status Link(absl::string_view existing, absl::string_view to) override {
    if (::link(std::string(existing).c_str(), std::string(to).c_str()) == 0) {
      return absl::OkStatus();
    }
    return ErrnoStatus("link", absl::StrCat(existing, " to ", to));
  }

  absl::Status RemoveFile(absl::string_view path) override {
    if (::unlink(std::string(path).c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus("remove", path);
  }

  absl::Status CreateDirectory(absl::string_view path) override {
    if (::mkdir(std::string(path).c_str(), kDirectoryMode) == 0) return absl::OkStatus();
    return ErrnoStatus("create directory", path);
  }

  absl::Status RemoveDirectory(absl::string_view path) override {
    if (::rmdir(std::string(path).c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus("remove directory", path);
  }

  absl::StatusOr<std::vector<std::string>> List(absl::string_view path) override {
    DIR* const directory = ::opendir(std::string(path).c_str());
    if (directory == nullptr) return ErrnoStatus("list", path);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(directory);
    if (error != 0) return ErrnoStatus("list", path, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status SyncDirectory(absl::string_view path) override {
    ASSIGN_OR_RETURN(const Descriptor descriptor, OpenDescriptor(path, O_RDONLY | O_DIRECTORY));
    if (Retry([&] { return ::fsync(descriptor.get()); }) < 0) {
      if (errno == EINVAL) {
        return absl::UnimplementedError(
            absl::StrCat("the file system of ", path, " can't sync a directory"));
      }
      return ErrnoStatus("sync directory", path);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> FreeBytes(absl::string_view path) override {
    struct statvfs info;
    if (::statvfs(std::string(path).c_str(), &info) < 0) return ErrnoStatus("statvfs", path);
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override {
    ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(path, O_RDWR | O_CREAT));
    if (Retry([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) < 0) {
      return ErrnoStatus("lock", path);
    }
    return std::make_unique<PosixFileLock>(std::move(descriptor));
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static Posix* const posix = new Posix;
  return *posix;
}

}  // namespace ringleader
