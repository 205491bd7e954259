// Lets readers walk memory without a lock while writers unlink and free parts of it: a piece that
// was unlinked is freed once every section that had begun by then has ended. The idea is that of
// sleepable RCU (McKenney, 2006): readers count themselves in and out of one of two phases, each
// thread on a cache line that few others share.
//
// Why a piece may go when each phase was seen empty once after it was unlinked: a section that
// could have found it was counted in one of the two by then. One that is counted later, after the
// look at its counter, began its walk after the piece was unlinked: counting in is a sequentially
// consistent operation, and so is the look.
//
// Threads: sections by any; Retire, Collect and destruction under the writer's lock, and
// destruction with no section open.
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
  class Section {
   public:
    explicit Section(const ReadSections& sections)
        : counter_(
              sections.stripes_[Stripe()].open[sections.phase_.load(std::memory_order_relaxed)]) {
      counter_.fetch_add(1, std::memory_order_seq_cst);
    }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section() { counter_.fetch_sub(1, std::memory_order_release); }

   private:
    std::atomic<uint64_t>& counter_;
  };

  bool IsEmpty(uint32_t phase) const {
    for (const StripeCounters& stripe : stripes_) {
      if (stripe.open[phase].load(std::memory_order_seq_cst) != 0) return false;
    }
    return true;
  }
  uint32_t phase() const { return phase_.load(std::memory_order_relaxed); }
  // New sections count elsewhere, so that the old phase becomes empty.
  void Flip() { phase_.store(1 - phase(), std::memory_order_seq_cst); }

 private:
  static constexpr size_t kThreadStripes = 64;
  struct alignas(kCacheLineBytes) StripeCounters {
    std::array<std::atomic<uint64_t>, 2> open{};
  };
  static size_t Stripe() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t stripe =
        threads.fetch_add(1, std::memory_order_relaxed) % kThreadStripes;
    return stripe;
  }

  mutable std::array<StripeCounters, kThreadStripes> stripes_;
  std::atomic<uint32_t> phase_{0};
};

// Pieces that were unlinked, until nobody can be reading them. One for each lock of the writers.
template <typename Piece>
class RetiredPieces {
 public:
  // After the piece was unlinked.
  void Retire(std::unique_ptr<Piece> piece) { young_.push_back(std::move(piece)); }

  // Frees what may be freed. Never waits: call it now and then.
  void Collect(ReadSections& sections) {
    for (uint32_t phase = 0; phase < 2; ++phase) {
      if (!seen_empty_[phase]) seen_empty_[phase] = sections.IsEmpty(phase);
    }
    if (seen_empty_[0] && seen_empty_[1]) {
      old_.clear();
      old_.swap(young_);
      seen_empty_ = {false, false};
    } else if (seen_empty_[1 - sections.phase()]) {
      sections.Flip();
    }
  }
  size_t size() const { return old_.size() + young_.size(); }

 private:
  std::deque<std::unique_ptr<Piece>> old_;    // unlinked before seen_empty_ was last cleared
  std::deque<std::unique_ptr<Piece>> young_;  // since
  std::array<bool, 2> seen_empty_{};
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_READ_SECTIONS_H_
