// What must hold in a core, and among the cores of one group, after every step of a test or a
// simulation (the idea of LogCabin's RaftConsensusInvariants). Keeps a bounded history, so that it
// also sees what must not change between two steps.
//
//   CoreInvariants invariants;
//   ...after every step:  CHECK_OK(invariants.Check({&core1, &core2, &core3}));
//   ...for what is applied: CHECK_OK(invariants.Apply(replica, effects.apply));
//
// One object per group; not thread-safe. Each violation is an INTERNAL status that names the
// replica and the property of Raft's figure 3.
#ifndef RINGLEADER_REPLICATION_CORE_INVARIANTS_H_
#define RINGLEADER_REPLICATION_CORE_INVARIANTS_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "replication/core.h"

namespace ringleader::replication {

class CoreInvariants {
 public:
  // Entries and terms remembered; older ones are not compared any more.
  static constexpr size_t kHistoryMax = 1 << 16;

  // All live cores of the group, each alone and then together.
  absl::Status Check(const std::vector<const Core*>& cores);
  // Only together: for who looks now and then, between two turns of their owners, and is told of no
  // restart.
  absl::Status CheckGroup(const std::vector<const Core*>& cores);
  // State machine safety: entries handed out to be applied at `replica`.
  absl::Status Apply(ReplicaId replica, absl::Span<const Entry> entries);
  // The object of this replica is made anew from its disk: what only grows within one object
  // (commit index) starts over; what is on disk (term, vote) may still not go back.
  void Restarted(ReplicaId replica);
  // The disk of this replica was wiped.
  void Wiped(ReplicaId replica) { seen_.erase(replica); }

 private:
  struct Seen {
    Term term = 0;
    ReplicaId vote = 0;
    HardState durable;
    Index commit = 0;
  };
  struct Committed {
    Term term = 0;      // of the entry
    Term known_in = 0;  // the first term in which a core knew it as committed: its leader has it
  };
  struct Applied {
    Term term = 0;
    EntryKind kind = EntryKind::kEmpty;
    Payload payload;
  };

  absl::Status CheckOne(const Core& core);
  absl::Status CheckLog(const Core& core) const;
  absl::Status CheckLeader(const Core& core) const;
  absl::Status CheckHistory(const Core& core);
  absl::Status CheckMessages(const Core& core) const;
  absl::Status CheckElectionSafety(const Core& core);
  absl::Status CheckCommitted(const Core& core);
  absl::Status CheckLeaderCompleteness(const Core& core) const;
  absl::Status CheckLogMatching(const Core& a, const Core& b) const;

  std::map<ReplicaId, Seen> seen_;
  std::map<Term, ReplicaId> leaders_;
  std::map<Index, Committed> committed_;
  std::map<Index, Applied> applied_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_CORE_INVARIANTS_H_
