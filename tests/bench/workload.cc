#include "tests/bench/workload.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ringleader::bench {
namespace {

constexpr absl::string_view kNames[kOperationKinds] = {"put", "get", "update", "delete"};

// The sum of 1 / i^s for i in [1, count]: exact for the first million, then by its integral, which
// is off by less than a millionth.
double Zeta(uint64_t count, double exponent) {
  constexpr uint64_t kExact = 1000000;
  double sum = 0;
  for (uint64_t i = 1; i <= std::min(count, kExact); ++i) {
    sum += std::pow(static_cast<double>(i), -exponent);
  }
  if (count <= kExact) return sum;
  const double power = 1 - exponent;
  return sum + (std::pow(static_cast<double>(count), power) - std::pow(kExact, power)) / power;
}

// Without a divisor in common with the number of keys, so that each rank has a key of its own.
uint64_t SpreadOver(uint64_t keys) {
  uint64_t spread = 0x9E3779B97F4A7C15ull;
  while (std::gcd(spread, keys) != 1) spread += 2;
  return spread;
}

}  // namespace

absl::string_view NameOf(OperationKind kind) { return kNames[static_cast<size_t>(kind)]; }

absl::StatusOr<Mix> ParseMix(absl::string_view text) {
  Mix mix{};
  double sum = 0;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> pair = absl::StrSplit(part, '=');
    const auto name = std::find(std::begin(kNames), std::end(kNames), pair[0]);
    double weight = 0;
    if (pair.size() != 2 || name == std::end(kNames) || !absl::SimpleAtod(pair[1], &weight) ||
        !(weight >= 0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", part, "' is not put, get, update or delete with a weight, such as put=1"));
    }
    mix[static_cast<size_t>(name - std::begin(kNames))] += weight;
    sum += weight;
  }
  if (!(sum > 0)) return absl::InvalidArgumentError("a mix of nothing");
  for (double& share : mix) share /= sum;
  return mix;
}

Workload::Workload(const WorkloadOptions& options, uint64_t seed)
    : options_(options), random_(seed), value_(options.value_bytes, '\0') {
  if (options.zipf > 0) {
    zeta_ = Zeta(options.keys, options.zipf);
    zeta_two_ = Zeta(2, options.zipf);
    spread_ = SpreadOver(options.keys);
  }
  // Values don't compress: neither store may gain by it.
  for (size_t i = 0; i < value_.size(); ++i) value_[i] = static_cast<char>(random_.Next());
}

// Neighbouring ranks lie far apart.
uint64_t Workload::KeyOfRank(uint64_t rank) const {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(rank) * spread_ % options_.keys);
}

uint64_t Workload::NextKey() {
  if (options_.zipf <= 0) return random_.Below(options_.keys);
  const double uniform = random_.Fraction();
  const double scaled = uniform * zeta_;
  if (scaled < 1) return KeyOfRank(0);
  if (scaled < zeta_two_) return KeyOfRank(1);
  const auto count = static_cast<double>(options_.keys);
  const double alpha = 1 / (1 - options_.zipf);
  const double eta = (1 - std::pow(2 / count, 1 - options_.zipf)) / (1 - zeta_two_ / zeta_);
  const double rank = count * std::pow(eta * uniform - eta + 1, alpha);
  return KeyOfRank(std::min(static_cast<uint64_t>(rank), options_.keys - 1));
}

void Workload::SetKey(uint64_t number) {
  key_ = absl::StrCat("key-", absl::Dec(number, absl::kZeroPad12));
}

OperationKind Workload::NextKind() {
  double at = random_.Fraction();
  for (size_t i = 0; i + 1 < kOperationKinds; ++i) {
    if (at < options_.mix[i]) return static_cast<OperationKind>(i);
    at -= options_.mix[i];
  }
  return static_cast<OperationKind>(kOperationKinds - 1);
}

Operation Workload::Load(uint64_t key) {
  SetKey(key);
  const uint64_t stamp = random_.Next();
  std::memcpy(value_.data(), &stamp, std::min(sizeof stamp, value_.size()));
  return {OperationKind::kPut, key_, value_};
}

Operation Workload::Next() {
  Operation operation = Load(NextKey());
  operation.kind = NextKind();
  return operation;
}

}  // namespace ringleader::bench
