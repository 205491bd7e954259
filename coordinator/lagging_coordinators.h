// Coordinators that answer and yet do not follow the metadata: a full disk, a copy that is not
// open, a log that stands. The group has its quorum until one more is lost, so nothing else would
// name them.
//
// Pure: fed now and then with who lags at that moment. Not thread-safe.
#ifndef RINGLEADER_COORDINATOR_LAGGING_COORDINATORS_H_
#define RINGLEADER_COORDINATOR_LAGGING_COORDINATORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace ringleader::coordinator {

class LaggingCoordinators {
 public:
  // Longer than an election and the restart of a process take.
  static constexpr Duration kLagAfter = std::chrono::seconds(10);

  // `why`: the sentences for those that lag now, by coordinator.
  void Update(const std::map<uint64_t, std::string>& why, const Instant& now);
  void Clear() { lagging_.clear(); }
  // A sentence for each that has lagged for kLagAfter.
  std::vector<std::string> Alarms(const Instant& now) const;

 private:
  struct Lagging {
    std::string why;  // as it was last
    Instant since;
  };

  std::map<uint64_t, Lagging> lagging_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_LAGGING_COORDINATORS_H_
