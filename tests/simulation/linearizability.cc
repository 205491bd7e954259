#include "tests/simulation/linearizability.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"

namespace ringleader::simulation {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The value after the event, or nothing if its output contradicts the value before.
std::optional<int64_t> Apply(const RegisterEvent& event, int64_t value) {
  const bool pinned = event.known || event.output_known;
  switch (event.operation) {
    case RegisterOperation::kRead:
      if (pinned && event.output != value) return std::nullopt;
      return value;
    case RegisterOperation::kWrite:
      return event.input;
    case RegisterOperation::kSwap:
      if (pinned && event.output != value) return std::nullopt;
      return event.input;
    case RegisterOperation::kCompareAndSet: {
      const bool set = value == event.expected;
      if (pinned && (event.output == 1) != set) return std::nullopt;
      return set ? event.input : value;
    }
    case RegisterOperation::kAdd:
      if (pinned && event.output != value + event.input) return std::nullopt;
      return value + event.input;
  }
  return std::nullopt;
}

// Whatever was there before.
bool Overwrites(const RegisterEvent& event) {
  return event.operation == RegisterOperation::kWrite ||
         (event.operation == RegisterOperation::kSwap && !event.known && !event.output_known);
}

std::string Describe(const RegisterEvent& event) {
  static constexpr const char* kNames[] = {"read", "write", "swap", "cas", "add"};
  return absl::StrCat(kNames[static_cast<int>(event.operation)], "(",
                      event.operation == RegisterOperation::kCompareAndSet
                          ? absl::StrCat(event.expected, " -> ")
                          : "",
                      event.input, ") = ", event.known ? absl::StrCat(event.output) : "?", " [",
                      event.call, ", ", event.known ? absl::StrCat(event.returned) : "open", "]");
}

// Depth-first over the order in which events took effect. A state is which events have been placed
// and the value they left; one that was seen before leads nowhere new.
//
// Events of unknown outcome never return, so each could be placed anywhere after its call, and most
// never are. One is placed only where the next event needs it: if that event fits without it too,
// either it has no effect that lasts or it may as well come later, and the search will look there.
class Search {
 public:
  Search(std::vector<RegisterEvent> known, std::vector<RegisterEvent> unknown, uint64_t steps_max)
      : known_count_(known.size()), steps_max_(steps_max), events_(std::move(known)) {
    events_.insert(events_.end(), unknown.begin(), unknown.end());
    placed_.resize(events_.size(), false);
    Random random(1);
    for (size_t i = 0; i < events_.size(); ++i) marks_.push_back({random.Next(), random.Next()});
  }

  LinearizabilityResult Run(int64_t initial) {
    std::vector<Frame> stack = {{.value = initial}};
    while (known_placed_ < known_count_) {
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
      if (!after.has_value() || !NeedsWhatCameBefore(stack, candidate, *after)) continue;
      if (candidate >= known_count_ && *after == top.value) continue;  // as if it never happened
      const Frame next{.value = *after, .placed = candidate};
      Place(candidate);
      if (!seen_.insert({hash_, *after}).second) {
        Unplace(candidate);
      } else {
        stack.push_back(next);
      }
    }
    return {};
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);
  using Hash = std::pair<uint64_t, uint64_t>;

  struct Frame {
    size_t next = 0;  // event to try
    int64_t value = 0;
    size_t placed = kNone;  // what led here
  };

  // The first event at or after `from` that may be next: unplaced, and called before every unplaced
  // known one returned. Known events come first.
  size_t NextCandidate(size_t from) const {
    int64_t earliest_return = kNever;
    size_t end = first_unplaced_;
    for (; end < known_count_ && events_[end].call <= earliest_return; ++end) {
      if (!placed_[end]) earliest_return = std::min(earliest_return, events_[end].returned);
    }
    for (size_t i = std::max(from, first_unplaced_); i < end; ++i) {
      if (!placed_[i]) return i;
    }
    for (size_t i = std::max(from, known_count_); i < events_.size(); ++i) {
      if (events_[i].call > earliest_return) break;
      if (!placed_[i] && !HasEarlierTwin(i)) return i;
    }
    return kNone;
  }

  // Of equal events of unknown outcome the one that was called first can be placed wherever another
  // can.
  bool HasEarlierTwin(size_t i) const {
    for (size_t other = known_count_; other < i; ++other) {
      if (!placed_[other] && events_[other].operation == events_[i].operation &&
          events_[other].output_known == events_[i].output_known &&
          events_[other].output == events_[i].output && events_[other].input == events_[i].input &&
          events_[other].expected == events_[i].expected) {
        return true;
      }
    }
    return false;
  }

  // False if the event placed last has an unknown outcome and is not what lets `candidate` come
  // here: a known event could go before it, and a write would make it useless.
  bool NeedsWhatCameBefore(const std::vector<Frame>& stack, size_t candidate, int64_t after) const {
    const Frame& top = stack.back();
    if (top.placed == kNone || top.placed < known_count_) return true;
    if (candidate >= known_count_) return !Overwrites(events_[candidate]);
    const auto without = Apply(events_[candidate], stack[stack.size() - 2].value);
    if (!without.has_value()) return true;
    return *without != after && Apply(events_[top.placed], *without) != after;
  }

  void Place(size_t i) {
    Toggle(i);
    if (i < known_count_) ++known_placed_;
    deepest_ = std::max(deepest_, known_placed_);
    while (first_unplaced_ < known_count_ && placed_[first_unplaced_]) ++first_unplaced_;
  }

  void Unplace(size_t i) {
    Toggle(i);
    if (i < known_count_) --known_placed_;
    first_unplaced_ = std::min(first_unplaced_, i);
  }

  void Toggle(size_t i) {
    placed_[i] = !placed_[i];
    hash_.first ^= marks_[i].first;
    hash_.second ^= marks_[i].second;
  }

  std::string Explain() const {
    std::string text = absl::StrCat("no order fits; at most ", deepest_, " of ", known_count_,
                                    " operations could be placed. Around there:\n");
    const size_t from = deepest_ > 12 ? deepest_ - 12 : 0;
    for (size_t i = from; i < std::min(known_count_, deepest_ + 12); ++i) {
      absl::StrAppend(&text, "  ", Describe(events_[i]), "\n");
    }
    return text;
  }

  const size_t known_count_;
  const uint64_t steps_max_;
  std::vector<RegisterEvent>
      events_;  // the known ones by call time, then the unknown ones by call time
  std::vector<bool> placed_;
  std::vector<Hash> marks_;  // a set of placed events is told by the exclusive or of its marks
  Hash hash_{0, 0};
  uint64_t steps_ = 0;
  size_t known_placed_ = 0;
  size_t first_unplaced_ = 0;
  size_t deepest_ = 0;
  absl::flat_hash_set<std::pair<Hash, int64_t>> seen_;
};

}  // namespace

std::string LinearizabilityResult::Complaint() const {
  if (verdict == kLinearizable) return "";
  return absl::StrCat(
      verdict == kUndecided ? "the history could not be decided: " : "not linearizable: ",
      explanation);
}

LinearizabilityResult CheckRegister(std::vector<RegisterEvent> history, int64_t initial,
                                    uint64_t steps_max) {
  std::stable_sort(history.begin(), history.end(),
                   [](const auto& a, const auto& b) { return a.call < b.call; });
  std::vector<RegisterEvent> known, unknown;
  for (const RegisterEvent& event : history) {
    // A read of unknown outcome says nothing.
    if (event.known) known.push_back(event);
    if (!event.known && event.operation != RegisterOperation::kRead) unknown.push_back(event);
  }
  return Search(std::move(known), std::move(unknown), steps_max).Run(initial);
}

}  // namespace ringleader::simulation
