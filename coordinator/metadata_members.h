// Keeps the metadata group's members what the metadata says: each coordinator's present replica
// votes. A coordinator that lost its data has a new replica, which comes in as a learner, takes its
// predecessor's vote in one joint change, and lets the predecessor be removed.
#ifndef RINGLEADER_COORDINATOR_METADATA_MEMBERS_H_
#define RINGLEADER_COORDINATOR_METADATA_MEMBERS_H_

#include <optional>
#include <vector>

#include "coordinator/metadata.h"
#include "replication/types.h"

namespace ringleader::coordinator {

struct MembersChange {
  std::vector<replication::Member> voters;
  std::vector<replication::Member> learners;
};

// The next change, or nothing to do (now: a joint configuration ends by itself). Whether a learner
// has caught up is the core's to say: it refuses the change until then.
std::optional<MembersChange> NextMembersChange(const Metadata& metadata,
                                               const replication::Configuration& current);

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_METADATA_MEMBERS_H_
