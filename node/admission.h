// How much unfinished work a node takes on, over all its partitions: requests and their bytes that
// are waiting or in flight, and whether its disk can take more at all. What does not fit is refused
// before anything happened to it, with the time after which to try again (DESIGN section 11, rule
// 19).
//
// Thread-safe.
#ifndef RINGLEADER_NODE_ADMISSION_H_
#define RINGLEADER_NODE_ADMISSION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "common/counters.h"

namespace ringleader {

struct AdmissionOptions {
  uint64_t requests_max = 100000;  // of a node
  uint64_t bytes_max = 256 << 20;
  uint64_t partition_requests_max = 20000;
  uint64_t partition_bytes_max = 32 << 20;
  uint32_t retry_after_ms = 20;
  uint32_t disk_retry_after_ms = 500;
};

class Admission {
 public:
  // Why a request was refused: the log's disk, or as much waits as may, in the partition or the
  // node.
  enum class Refusal { kDisk, kPartition, kNode };
  static constexpr const char* kRefusalNames[] = {"disk", "partition", "node"};

  explicit Admission(const AdmissionOptions& options) : options_(options) {}

  // False: refused, and nothing was counted.
  bool Enter(uint64_t bytes) {
    const uint64_t requests_before = requests_.fetch_add(1);
    const uint64_t bytes_before = bytes_.fetch_add(bytes);
    if (requests_before < options_.requests_max && bytes_before + bytes <= options_.bytes_max) {
      return true;
    }
    Leave(bytes);
    return false;
  }
  void Leave(uint64_t bytes) {
    requests_.fetch_sub(1);
    bytes_.fetch_sub(bytes);
  }

  // Stands for a database that waits for space, as long as it exists.
  class WithoutSpace {
   public:
    explicit WithoutSpace(Admission& admission) : admission_(admission) {
      admission_.without_space_.fetch_add(1);
    }
    ~WithoutSpace() { admission_.without_space_.fetch_sub(1); }
    WithoutSpace(const WithoutSpace&) = delete;
    WithoutSpace& operator=(const WithoutSpace&) = delete;

   private:
    Admission& admission_;
  };
  int without_space() const { return without_space_; }

  // Whether the log's disk answers, and all have room: writes are refused while not.
  void SetDiskFit(bool fit) { disk_fit_ = fit; }
  bool disk_fit() const { return disk_fit_; }

  void CountRefused(Refusal why) { refused_[static_cast<size_t>(why)].Add(); }
  const StripedCounter& refused(size_t why) const { return refused_[why]; }

  uint64_t requests() const { return requests_; }
  uint64_t bytes() const { return bytes_; }
  const AdmissionOptions& options() const { return options_; }

 private:
  const AdmissionOptions options_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> disk_fit_{true};
  std::atomic<int> without_space_{0};
  std::array<StripedCounter, std::size(kRefusalNames)> refused_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_ADMISSION_H_
