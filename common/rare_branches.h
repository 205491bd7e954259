// Rare branches: places in production code that tests have to reach, each counted by its name, in
// the manner of FoundationDB's code probes. A simulation that never aborts a move proves nothing of
// aborted moves, whatever else it passes.
//
//   RARE_BRANCH("move aborted");
//
// Costs one relaxed addition, so it stands where things are rare. In .cc files; the same name may
// stand in several places. tests/simulation/coverage says how often each has to come up.
#ifndef RINGLEADER_COMMON_RARE_BRANCHES_H_
#define RINGLEADER_COMMON_RARE_BRANCHES_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#define RARE_BRANCH(name) (::ringleader::rare_branches::kBranch<name>.Reached())

namespace ringleader::rare_branches {

class Branch;
// Of all that the program has, whether they were reached or not.
inline Branch* first = nullptr;

class Branch {
 public:
  // While the program starts: one thread. `name` lives as long as the program.
  explicit Branch(const char* name) : name_(name), next_(first) { first = this; }
  Branch(const Branch&) = delete;
  Branch& operator=(const Branch&) = delete;

  void Reached() { times_.fetch_add(1, std::memory_order_relaxed); }

 private:
  friend std::map<std::string, uint64_t> Counts();
  const char* const name_;
  std::atomic<uint64_t> times_ = 0;
  Branch* const next_;
};

template <size_t N>
struct Name {
  constexpr Name(const char (&from)[N]) { std::copy_n(from, N, text); }  // NOLINT: a literal
  char text[N];
};

template <Name name>
inline Branch kBranch(name.text);

// How often each was reached in this process; 0 if never.
inline std::map<std::string, uint64_t> Counts() {
  std::map<std::string, uint64_t> counts;
  for (const Branch* branch = first; branch != nullptr; branch = branch->next_) {
    counts[branch->name_] = branch->times_.load(std::memory_order_relaxed);
  }
  return counts;
}

}  // namespace ringleader::rare_branches

#endif  // RINGLEADER_COMMON_RARE_BRANCHES_H_
