// Decides whether a recorded history of one register could have come from a single copy that does
// one thing at a time (Herlihy and Wing, 1990), by Wing and Gong's search with Lowe's memoization
// ("Testing for linearizability", 2017).
//
// Keys are independent: a history is checked per key. An operation whose outcome is unknown may
// have happened at any time after its call, or never.
#ifndef RINGLEADER_TESTS_SIMULATION_LINEARIZABILITY_H_
#define RINGLEADER_TESTS_SIMULATION_LINEARIZABILITY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringleader::simulation {

enum class RegisterOperation : uint8_t {
  kRead,           // output: the value
  kWrite,          // input
  kSwap,           // input; output: the value before
  kCompareAndSet,  // expected, input; output: 1 if it was set
  kAdd,            // input is added; output: the sum
};

struct RegisterEvent {
  RegisterOperation operation = RegisterOperation::kRead;
  int64_t input = 0;
  int64_t expected = 0;
  int64_t output = 0;
  int64_t call = 0;           // any clock shared by all clients
  int64_t returned = 0;       // meaningful if known
  bool known = true;          // false: the outcome is open to the end, and output means nothing
  bool output_known = false;  // with known == false: if it happened, then with this output
};

struct LinearizabilityResult {
  enum Verdict { kLinearizable, kViolation, kUndecided } verdict = kLinearizable;
  std::string explanation;  // of a violation: the operations around the first one that fits nowhere

  // For a report; empty if it is linearizable. What could not be decided proves nothing.
  std::string Complaint() const;
};

// A few seconds and gigabytes at most.
inline constexpr uint64_t kCheckStepsMax = 80'000'000;

// `initial`: the value before the first event. Gives up with kUndecided after `steps_max` steps.
LinearizabilityResult CheckRegister(std::vector<RegisterEvent> history, int64_t initial,
                                    uint64_t steps_max);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_LINEARIZABILITY_H_
