#include "tests/simulation/group_invariants.h"

#include "absl/strings/str_cat.h"

namespace ringleader::simulation {
namespace {

// A comparison costs as much as some virtual milliseconds of a run.
constexpr Duration kCompareEvery = std::chrono::seconds(5);

}  // namespace

bool GroupInvariants::HasNewLeader(const Replicas& all) {
  bool is_new = false;
  for (const auto& replica : all) {
    const replication::Core& core = replica->core();
    if (core.role() != replication::Role::kLeader) continue;
    is_new |= leaders_.insert({core.group(), core.term(), core.replica()}).second;
  }
  return is_new;
}

absl::Status GroupInvariants::Look(Duration now, const Replicas& all) {
  if (!HasNewLeader(all) && now < next_) return absl::OkStatus();
  next_ = now + kCompareEvery;
  ++comparisons_;
  std::map<replication::GroupId, std::vector<const replication::Core*>> groups;
  for (const auto& replica : all) groups[replica->group()].push_back(&replica->core());
  for (const auto& [group, cores] : groups) {
    const absl::Status held = groups_[group].CheckGroup(cores);
    if (!held.ok()) {
      return absl::InternalError(absl::StrCat("group ", group, ": ", held.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace ringleader::simulation
