// Mutants: deliberate faults in production code, which prove that the tests would see such a fault.
//
//   if (message.term < term_ && !MUTANT("takes-old-terms")) return;
//
// MUTANT(name) is the constant `false`, and its name no part of the program, unless the file is
// compiled with RINGLEADER_MUTANTS. Only programs made for it are
// (ringleader_mutants in cmake/targets.cmake): they compile every source that has a mutant once
// more, with all of them in it. Of these at most one is on, chosen when the program runs: by
// Choose(), or from the start by the environment variable RINGLEADER_MUTANT.
//
// Where it is written
//   * In .cc files only: a header would be compiled both ways into one program.
//   * Last in its condition, so that `reached` counts how often the fault made a difference.
//   * The same name may stand in several places: they are one fault.
//   * What each one breaks stands in tests/simulation/mutants.py, which fails over one that is
//   missing.
#ifndef RINGLEADER_COMMON_MUTANTS_H_
#define RINGLEADER_COMMON_MUTANTS_H_

#ifndef RINGLEADER_MUTANTS

#define MUTANT(name) false

#else

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#define MUTANT(name) (::ringleader::mutants::kMutant<name>.IsOn())

namespace ringleader::mutants {

class Mutant {
 public:
  // `name` lives as long as the program.
  explicit Mutant(const char* name);
  Mutant(const Mutant&) = delete;
  Mutant& operator=(const Mutant&) = delete;

  bool IsOn() {
    if (!on_) return false;
    reached_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

 private:
  friend bool Choose(absl::string_view name);
  friend std::vector<std::string> All();
  friend uint64_t Reached();

  const char* const name_;
  bool on_ = false;
  std::atomic<uint64_t> reached_ = 0;
  Mutant* next_ = nullptr;  // of all that the program has
};

template <size_t N>
struct Name {
  constexpr Name(const char (&from)[N]) { std::copy_n(from, N, text); }  // NOLINT: a literal
  char text[N];
};

// One for each name, whatever number of places it has.
template <Name name>
inline Mutant kMutant(name.text);

// Switches the mutant of this name on and every other one off. False: the program has none of it.
// Before threads run.
bool Choose(absl::string_view name);
// The names of all mutants that the program has, sorted.
std::vector<std::string> All();
// How often the chosen one was asked for, in this process.
uint64_t Reached();

}  // namespace ringleader::mutants

#endif  // RINGLEADER_MUTANTS
#endif  // RINGLEADER_COMMON_MUTANTS_H_
