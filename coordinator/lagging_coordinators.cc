#include "coordinator/lagging_coordinators.h"

#include "absl/strings/str_cat.h"

namespace ringleader::coordinator {

void LaggingCoordinators::Update(const std::map<uint64_t, std::string>& why, const Instant& now) {
  std::map<uint64_t, Lagging> lagging;
  for (const auto& [coordinator, sentence] : why) {
    const auto before = lagging_.find(coordinator);
    lagging[coordinator] = {sentence, before == lagging_.end() ? now : before->second.since};
  }
  lagging_ = std::move(lagging);
}

std::vector<std::string> LaggingCoordinators::Alarms(const Instant& now) const {
  std::vector<std::string> alarms;
  for (const auto& [coordinator, lagging] : lagging_) {
    const Duration since = WaiterElapsed(lagging.since, now);
    if (since < kLagAfter) continue;
    alarms.push_back(absl::StrCat("Coordinator ", coordinator - 1,
                                  " answers and has not followed the metadata for ",
                                  since / std::chrono::seconds(1), " s. ", lagging.why));
  }
  return alarms;
}

}  // namespace ringleader::coordinator
