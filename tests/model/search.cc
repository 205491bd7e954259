#include "tests/model/search.h"

#include <algorithm>
#include <cstring>

namespace ringleader::lease_model {
namespace {

constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;

uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Never 0.
uint64_t Fingerprint(const State& state) {
  const char* bytes = reinterpret_cast<const char*>(&state);
  uint64_t hash = kMultiplier;
  for (size_t at = 0; at < sizeof(State); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, std::min(sizeof(word), sizeof(State) - at));
    hash = Mix(hash ^ word, kMultiplier + 2 * at);
  }
  return hash == 0 ? 1 : hash;
}

class FingerprintSet {
 public:
  FingerprintSet() : slots_(1 << 16) {}

  // False: it was there.
  bool Insert(uint64_t fingerprint) {
    if (++size_ * 2 > slots_.size()) Grow();
    return Place(slots_, fingerprint);
  }

 private:
  static bool Place(std::vector<uint64_t>& slots, uint64_t fingerprint) {
    const size_t mask = slots.size() - 1;
    for (size_t slot = fingerprint & mask;; slot = (slot + 1) & mask) {
      if (slots[slot] == fingerprint) return false;
      if (slots[slot] != 0) continue;
      slots[slot] = fingerprint;
      return true;
    }
  }
  void Grow() {
    std::vector<uint64_t> larger(slots_.size() * 2);
    for (const uint64_t fingerprint : slots_) {
      if (fingerprint != 0) Place(larger, fingerprint);
    }
    slots_ = std::move(larger);
  }

  std::vector<uint64_t> slots_;
  size_t size_ = 0;  // an upper bound
};

struct Origin {
  uint32_t parent;
  uint16_t step;
};

}  // namespace

SearchResult Search(const LeaseModel& model, uint64_t states_max) {
  SearchResult result;
  const std::vector<Step> steps = model.AllSteps();
  FingerprintSet seen;
  std::vector<Origin> origins{{0, 0}};
  std::vector<State> level{model.Initial()};
  uint32_t first_of_level = 0;
  seen.Insert(Fingerprint(level[0]));
  for (std::vector<State> next_level; !level.empty(); ++result.depth) {
    next_level.clear();
    const uint32_t first_of_next = static_cast<uint32_t>(origins.size());
    for (size_t i = 0; i < level.size(); ++i) {
      for (size_t step = 0; step < steps.size(); ++step) {
        if (!LeaseModel::MayTake(steps[step], level[i])) continue;
        State next = level[i];
        if (!model.Take(steps[step], next)) continue;
        ++result.taken[static_cast<size_t>(steps[step].kind)];
        model.Canonicalize(next);
        if (!seen.Insert(Fingerprint(next))) continue;
        origins.push_back({first_of_level + static_cast<uint32_t>(i), static_cast<uint16_t>(step)});
        result.broken = model.Broken(next);
        result.states = origins.size();
        if (result.broken != nullptr) {
          for (uint32_t at = static_cast<uint32_t>(origins.size()) - 1; at != 0;
               at = origins[at].parent) {
            result.steps.push_back(steps[origins[at].step]);
          }
          std::reverse(result.steps.begin(), result.steps.end());
          return result;
        }
        if (origins.size() >= states_max) return result;
        next_level.push_back(next);
      }
    }
    level.swap(next_level);
    first_of_level = first_of_next;
  }
  result.states = origins.size();
  result.complete = true;
  return result;
}

}  // namespace ringleader::lease_model
