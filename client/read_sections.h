// Lets readers walk memory without a lock while writers unlink and free parts of it: a piece that
// was unlinked is freed once every section that had begun by then has ended. The idea is that of
// sleepable RCU (McKenney, 2006): readers count themselves in and out of one of two phases, each
// thread on a cache line that few others share.
//
// Why a piece may go. Sections count themselves in the phase that is current; the other one drains,
// and once it has been seen empty the two change places. A piece was unlinked, and then `c` changes
// were counted: the look before change c + 1 may have been earlier, those before c + 2 and c + 3
// were not, and they saw both phases empty. A section that could have found the piece was counted
// in one of the two by then. One that was counted later than the look at its phase began its walk
// after the piece was unlinked: counting in is a sequentially consistent operation, as is the look.
//
// Several pieces of memory, each with its own writers, may share the sections: a reader of two of
// them counts itself in once. The changes are common to all, as two that each wait for the phase
// that the other just made current would wait for ever.
//
// Threads: sections, Advance and changes by any; what retires pieces is of their writer's lock. The
// sections are destroyed with none open, after whatever retires pieces by them.
#ifndef RINGLEADER_CLIENT_READ_SECTIONS_H_
#define RINGLEADER_CLIENT_READ_SECTIONS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "common/counters.h"

namespace ringleader::client {

class ReadSections {
 public:
  // Of one thread.
  class Section {
   public:
    explicit Section(const ReadSections& sections)
        : counter_(sections.stripes_[Stripe()]
                       .open[sections.changes_.load(std::memory_order_relaxed) % 2]) {
      counter_.fetch_add(1, std::memory_order_seq_cst);
    }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section() { counter_.fetch_add(at_end_, std::memory_order_release); }
    // Among `counted`, once it has ended; at most once. Costs nothing: an atomic addition would
    // cost a tenth of a read.
    void Count() { at_end_ = kCountedOne - 1; }

   private:
    std::atomic<uint64_t>& counter_;
    uint64_t at_end_ = UINT64_MAX;  // -1
  };

  uint64_t changes() const { return changes_.load(std::memory_order_seq_cst); }
  // Changes the phase if the other one is empty. Never waits: false also while another thread is
  // about it.
  bool Advance() {
    if (is_advancing_.test_and_set(std::memory_order_acquire)) return false;
    const uint64_t changes = changes_.load(std::memory_order_relaxed);
    const bool is_empty = IsEmpty((changes + 1) % 2);
    if (is_empty) changes_.store(changes + 1, std::memory_order_seq_cst);
    is_advancing_.clear(std::memory_order_release);
    return is_empty;
  }
  // How many sections that have ended were counted. Each thread's lose 2^48 when they get there: at
  // ten millions a second that takes most of a year.
  uint64_t counted() const {
    uint64_t sum = 0;
    for (const StripeCounters& stripe : stripes_) {
      for (const auto& open : stripe.open)
        sum += open.load(std::memory_order_relaxed) / kCountedOne;
    }
    return sum;
  }

 private:
  // Linux has fewer threads than the stripes together have places for open sections.
  static constexpr size_t kThreadStripes = 64;
  static constexpr uint64_t kCountedOne = 1 << 16;
  // For each phase the number of open sections, below kCountedOne, and in front of it that of the
  // counted ones.
  struct alignas(kCacheLineBytes) StripeCounters {
    std::array<std::atomic<uint64_t>, 2> open{};
  };
  bool IsEmpty(uint64_t phase) const {
    for (const StripeCounters& stripe : stripes_) {
      if (stripe.open[phase].load(std::memory_order_seq_cst) % kCountedOne != 0) return false;
    }
    return true;
  }
  static size_t Stripe() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t stripe =
        threads.fetch_add(1, std::memory_order_relaxed) % kThreadStripes;
    return stripe;
  }

  mutable std::array<StripeCounters, kThreadStripes> stripes_;
  std::atomic<uint64_t> changes_{0};
  std::atomic_flag is_advancing_;
};

// Pieces that were unlinked, until nobody can be reading them. One for each lock of the writers.
template <typename Piece>
class RetiredPieces {
 public:
  explicit RetiredPieces(ReadSections& sections) : sections_(sections) {}

  // After the piece was unlinked.
  void Retire(std::unique_ptr<Piece> piece) {
    pieces_.push_back({sections_.changes(), std::move(piece)});
  }

  // Frees what may be freed. Never waits: call it now and then.
  void Collect() {
    while (!pieces_.empty()) {
      if (sections_.changes() >= pieces_.front().changes + kChanges) {
        pieces_.pop_front();
      } else if (!sections_.Advance()) {
        return;
      }
    }
  }
  size_t size() const { return pieces_.size(); }

 private:
  static constexpr uint64_t kChanges = 3;
  struct Retired {
    uint64_t changes = 0;  // when it was unlinked
    std::unique_ptr<Piece> piece;
  };

  ReadSections& sections_;
  std::deque<Retired> pieces_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_READ_SECTIONS_H_
