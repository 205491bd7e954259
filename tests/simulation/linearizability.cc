#include "tests/simulation/linearizability.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringleader::simulation {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The value after the event, or nothing if its output contradicts the value before.
std::optional<int64_t> Apply(const RegisterEvent& event, int64_t value) {
  switch (event.operation) {
    case RegisterOperation::kRead:
      if (event.known && event.output != value) return std::nullopt;
      return value;
    case RegisterOperation::kWrite:
      return event.input;
    case RegisterOperation::kCompareAndSet: {
      const bool set = value == event.expected;
      if (event.known && (event.output == 1) != set) return std::nullopt;
      return set ? event.input : value;
    }
    case RegisterOperation::kAdd:
      if (event.known && event.output != value + event.input) return std::nullopt;
      return value + event.input;
  }
  return std::nullopt;
}

std::string Describe(const RegisterEvent& event) {
  static constexpr const char* kNames[] = {"read", "write", "cas", "add"};
  return absl::StrCat(kNames[static_cast<int>(event.operation)], "(",
                      event.operation == RegisterOperation::kCompareAndSet
                          ? absl::StrCat(event.expected, " -> ")
                          : "",
                      event.input, ") = ", event.known ? absl::StrCat(event.output) : "?", " [",
                      event.call, ", ", event.known ? absl::StrCat(event.returned) : "open", "]");
}

// Depth-first over the order in which events took effect. A state is which events have been placed
// and the value they left; one that was seen before leads nowhere new. Placed events are a prefix
// of the events by call time plus a set beyond it, which keeps the states small.
class Search {
 public:
  Search(std::vector<RegisterEvent> events, uint64_t steps_max)
      : events_(std::move(events)), placed_(events_.size(), false), steps_max_(steps_max) {
    for (const RegisterEvent& event : events_) known_left_ += event.known ? 1 : 0;
  }

  LinearizabilityResult Run(int64_t initial) {
    struct Frame {
      size_t next;    // candidate to try
      int64_t value;  // before placing
      size_t placed;  // what this frame placed, or npos
    };
    std::vector<Frame> stack = {{0, initial, kNone}};
    while (known_left_ > 0) {
      if (++steps_ > steps_max_) return {LinearizabilityResult::kUndecided, "gave up"};
      Frame& top = stack.back();
      const size_t candidate = NextCandidate(top.next);
      if (candidate == kNone) {
        if (stack.size() == 1) return {LinearizabilityResult::kViolation, Explain()};
        const size_t undone = top.placed;
        stack.pop_back();
        Unplace(undone);
        continue;
      }
      top.next = candidate + 1;
      const auto after = Apply(events_[candidate], top.value);
      if (!after.has_value()) continue;
      Place(candidate);
      if (!seen_.insert({Signature(), *after}).second) {
        Unplace(candidate);
        continue;
      }
      stack.push_back({first_unplaced_, *after, candidate});
    }
    return {};
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // The first event at or after `from` that may be next: called before every unplaced known event
  // returned.
  size_t NextCandidate(size_t from) const {
    int64_t earliest_return = kNever;
    for (size_t i = first_unplaced_; i < events_.size() && events_[i].call <= earliest_return;
         ++i) {
      if (!placed_[i] && events_[i].known) {
        earliest_return = std::min(earliest_return, events_[i].returned);
      }
    }
    for (size_t i = std::max(from, first_unplaced_);
         i < events_.size() && events_[i].call <= earliest_return; ++i) {
      if (!placed_[i]) return i;
    }
    return kNone;
  }

  void Place(size_t i) {
    placed_[i] = true;
    if (events_[i].known) --known_left_;
    deepest_ = std::max(deepest_, ++placed_count_);
    while (first_unplaced_ < events_.size() && placed_[first_unplaced_]) ++first_unplaced_;
  }

  void Unplace(size_t i) {
    placed_[i] = false;
    if (events_[i].known) ++known_left_;
    --placed_count_;
    first_unplaced_ = std::min(first_unplaced_, i);
  }

  std::vector<uint32_t> Signature() const {
    std::vector<uint32_t> signature = {static_cast<uint32_t>(first_unplaced_)};
    size_t left = placed_count_ - first_unplaced_;
    for (size_t i = first_unplaced_; left > 0; ++i) {
      if (!placed_[i]) continue;
      signature.push_back(static_cast<uint32_t>(i));
      --left;
    }
    return signature;
  }

  std::string Explain() const {
    std::string text = absl::StrCat("no order fits; at most ", deepest_, " of ", events_.size(),
                                    " operations could be placed. Around there:\n");
    const size_t from = deepest_ > 12 ? deepest_ - 12 : 0;
    for (size_t i = from; i < std::min(events_.size(), deepest_ + 12); ++i) {
      absl::StrAppend(&text, "  ", Describe(events_[i]), "\n");
    }
    return text;
  }

  const std::vector<RegisterEvent> events_;  // by call time
  std::vector<bool> placed_;
  const uint64_t steps_max_;
  uint64_t steps_ = 0;
  size_t known_left_ = 0;
  size_t placed_count_ = 0;
  size_t first_unplaced_ = 0;
  size_t deepest_ = 0;
  std::set<std::pair<std::vector<uint32_t>, int64_t>> seen_;
};

}  // namespace

LinearizabilityResult CheckRegister(std::vector<RegisterEvent> history, int64_t initial,
                                    uint64_t steps_max) {
  // A read of unknown outcome says nothing.
  std::erase_if(history, [](const RegisterEvent& event) {
    return !event.known && event.operation == RegisterOperation::kRead;
  });
  std::stable_sort(history.begin(), history.end(),
                   [](const auto& a, const auto& b) { return a.call < b.call; });
  return Search(std::move(history), steps_max).Run(initial);
}

}  // namespace ringleader::simulation
