#include "common/mutants.h"

// Empty, unless it is compiled for a program with mutants.
#ifdef RINGLEADER_MUTANTS

#include <cstdlib>

namespace ringleader::mutants {
namespace {

Mutant* first = nullptr;  // set before any constructor runs

}  // namespace

Mutant::Mutant(const char* name) : name_(name), next_(first) {
  first = this;
  const char* const chosen = std::getenv("RINGLEADER_MUTANT");
  on_ = chosen != nullptr && absl::string_view(chosen) == name;
}

bool Choose(absl::string_view name) {
  bool found = false;
  for (Mutant* mutant = first; mutant != nullptr; mutant = mutant->next_) {
    mutant->on_ = name == mutant->name_;
    found = found || mutant->on_;
  }
  return found;
}

std::vector<std::string> All() {
  std::vector<std::string> names;
  for (const Mutant* mutant = first; mutant != nullptr; mutant = mutant->next_) {
    names.emplace_back(mutant->name_);
  }
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t Reached() {
  uint64_t reached = 0;
  for (const Mutant* mutant = first; mutant != nullptr; mutant = mutant->next_) {
    reached += mutant->reached_.load(std::memory_order_relaxed);
  }
  return reached;
}

}  // namespace ringleader::mutants

#endif  // RINGLEADER_MUTANTS
