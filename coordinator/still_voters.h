// Voters that stand still: alive, without a failure of their own, and yet not within reach of their
// leader's log and applying nothing. Nothing else would name them: their group has its quorum until
// one more is lost.
//
// Pure: fed with the latest reports now and then. Not thread-safe.
#ifndef RINGLEADER_COORDINATOR_STILL_VOTERS_H_
#define RINGLEADER_COORDINATOR_STILL_VOTERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "coordinator/balancer.h"
#include "coordinator/metadata.h"

namespace ringleader::coordinator {

class StillVoters {
 public:
  // Longer than reports take to come, and than a burst of writes keeps a follower behind.
  static constexpr Duration kStillAfter = std::chrono::seconds(10);
  static constexpr size_t kNamedMax = 20;

  void Update(const Metadata& metadata, const Observations& seen, const Instant& now);
  void Clear() { behind_.clear(); }
  // A sentence for each that has stood still for kStillAfter; of more than kNamedMax, how many.
  std::vector<std::string> Alarms(const Instant& now) const;

 private:
  struct Behind {
    uint64_t node = 0;
    uint64_t applied = 0;
    Instant since;  // it has been behind, at this applied index
  };
  using Key = std::pair<uint64_t, uint64_t>;  // partition, replica

  std::map<Key, Behind> behind_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_STILL_VOTERS_H_
