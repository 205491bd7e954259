// Which operation on which key comes next: drawn from a seed, the same for every store.
#ifndef RINGLEADER_TESTS_BENCH_WORKLOAD_H_
#define RINGLEADER_TESTS_BENCH_WORKLOAD_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/random.h"
#include "tests/bench/target.h"

namespace ringleader::bench {

// How often each kind of operation comes, as shares of 1.
using Mix = std::array<double, kOperationKinds>;
// "put=1,get=9": positive weights. INVALID_ARGUMENT names what is wrong.
absl::StatusOr<Mix> ParseMix(absl::string_view text);

struct WorkloadOptions {
  Mix mix{1, 0, 0, 0};
  uint64_t keys = 100000;
  uint64_t value_bytes = 100;
  // Zipf's exponent, below 1 (Gray et al., "Quickly generating billion-record synthetic
  // databases", SIGMOD '94, section 3.2); 0: uniform.
  double zipf = 0;
};

// Not thread-safe; each client has its own.
class Workload {
 public:
  Workload(const WorkloadOptions& options, uint64_t seed);

  // Views into this object, until the next call.
  Operation Next();
  // A put of the key with this number, for loading.
  Operation Load(uint64_t key);

 private:
  uint64_t NextKey();
  uint64_t KeyOfRank(uint64_t rank) const;
  void SetKey(uint64_t number);
  OperationKind NextKind();

  const WorkloadOptions options_;
  Random random_;
  double zeta_ = 0;
  double zeta_two_ = 0;
  uint64_t spread_ = 1;
  std::string key_;
  std::string value_;
};

}  // namespace ringleader::bench

#endif  // RINGLEADER_TESTS_BENCH_WORKLOAD_H_
