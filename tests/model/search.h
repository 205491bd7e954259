// Breadth-first search over every state of a LeaseModel: a shortest way to a broken one, or proof
// that there is none within the bounds.
//
// Of a visited state a 64-bit fingerprint is kept. Two states with one fingerprint hide what
// follows the second: with n states the chance that any two share one is below n^2 / 2^65, for 10
// million states 3 in a million.
#ifndef RINGLEADER_TESTS_MODEL_SEARCH_H_
#define RINGLEADER_TESTS_MODEL_SEARCH_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/lease_model.h"

namespace ringleader::lease_model {

struct SearchResult {
  const char* broken = nullptr;  // null: nothing is
  std::vector<Step> steps;       // to the broken state
  bool complete = false;         // every state within the bounds was seen
  uint64_t states = 0;
  int depth = 0;
  // How often each kind of step was possible.
  std::array<uint64_t, static_cast<size_t>(StepKind::kCount)> taken{};
};

// Stops at the first broken state, or at `states_max`.
SearchResult Search(const LeaseModel& model, uint64_t states_max);

}  // namespace ringleader::lease_model

#endif  // RINGLEADER_TESTS_MODEL_SEARCH_H_
