#include "tests/simulation/run_draws.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace ringleader::simulation {
namespace {

constexpr double kKindAbsent = 0.3;  // chance that a run has none of a kind
constexpr uint64_t kWeightMax = 8;
// Faults that last much longer than the time between two leave nobody up.
constexpr int kLastsPerEveryMax = 6;

}  // namespace

// Powers of two and linear in between: exact on every machine, unlike logarithms.
int64_t DrawScale(Random& random, int64_t low, int64_t high) {
  CHECK(1 <= low && low <= high);
  uint64_t doublings = 0;
  while ((low << (doublings + 1)) <= high) ++doublings;
  const int64_t from = low << random.Below(doublings + 1);
  return random.Between(from, std::min(high, 2 * from));
}

Duration DrawDuration(Random& random, Duration low, Duration high) {
  return Duration(DrawScale(random, low.count(), high.count()));
}

FaultPace DrawPace(Random& random) {
  FaultPace pace;
  pace.every_max =
      DrawDuration(random, std::chrono::milliseconds(250), std::chrono::milliseconds(3000));
  pace.lasts_max =
      DrawDuration(random, std::chrono::milliseconds(200),
                   std::min<Duration>(std::chrono::seconds(8), kLastsPerEveryMax * pace.every_max));
  return pace;
}

std::vector<uint64_t> DrawWeights(Random& random, size_t kinds) {
  std::vector<uint64_t> weights;
  for (size_t kind = 0; kind < kinds; ++kind) {
    weights.push_back(random.Chance(kKindAbsent) ? 0 : 1 + random.Below(kWeightMax));
  }
  weights[0] += 1;  // a run without any fault proves little
  return weights;
}

size_t DrawKind(Random& random, const std::vector<uint64_t>& weights) {
  uint64_t all = 0;
  for (const uint64_t weight : weights) all += weight;
  uint64_t draw = random.Below(all);
  size_t kind = 0;
  while (draw >= weights[kind]) draw -= weights[kind++];
  return kind;
}

void DrawReplication(Random& random, replication::RuntimeOptions& runtime) {
  const auto bytes = [&random](int64_t low, int64_t high) {
    return static_cast<uint64_t>(DrawScale(random, low, high));
  };
  replication::ReplicaOptions& replica = runtime.replica;
  replica.retain_bytes = bytes(1, 64 << 10);
  replica.compaction_ticks = static_cast<uint32_t>(random.Between(1, 20));
  replica.core.append_bytes_max = bytes(1, 16 << 10);
  replica.core.inflight_messages_max = static_cast<uint32_t>(DrawScale(random, 1, 32));
  replica.core.uncommitted_bytes_max = bytes(64 << 10, 1 << 20);
  replica.disk_stall_max =
      DrawDuration(random, std::chrono::milliseconds(100), std::chrono::seconds(2));
  replica.core.entry_cache_bytes_max = bytes(1 << 10, 64 << 10);
  replica.follower_gather = bytes(1, 64);
  runtime.log.segment_bytes = bytes(64 << 10, 512 << 10);
  runtime.log.reserve_bytes = 16 << 10;
  runtime.log.log_bytes_target = 4 * runtime.log.segment_bytes;
  runtime.snapshots.chunk_bytes = bytes(64, 64 << 10);
  runtime.snapshots.window_bytes = 4 * runtime.snapshots.chunk_bytes;
  runtime.workers = static_cast<int>(random.Between(1, 2));
  runtime.appliers = static_cast<int>(random.Between(1, 2));
}

Duration DrawSyncTime(Random& random) {
  return DrawDuration(random, std::chrono::microseconds(100), std::chrono::milliseconds(60));
}

}  // namespace ringleader::simulation
