// The metadata as a coordinator's own executor sees it: a copy that follows the replicated state
// machine command by command, proposals with their outcomes, and reads that are linearizable.
//
// Threads: the observer's methods are called on the apply executor and post; everything else
// belongs to the control executor.
#ifndef RINGLEADER_COORDINATOR_METADATA_STORE_H_
#define RINGLEADER_COORDINATOR_METADATA_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/executor.h"
#include "coordinator/metadata.h"
#include "coordinator/metadata_machine.h"
#include "replication/runtime.h"

namespace ringleader::coordinator {

class MetadataStore : public MetadataObserver {
 public:
  using Proposed = std::function<void(const CommandOutcome&)>;
  using Read = std::function<void(const absl::Status&)>;

  // Proposals without an outcome at once; more are refused.
  static constexpr size_t kWaitingMax = 4096;

  // The executor and what `on_leadership` uses outlive it.
  explicit MetadataStore(Executor& control) : control_(control) {}

  // Called on the control executor, before the replica opens. `runtime` may be set to null again.
  void Attach(replication::Runtime* runtime) { runtime_ = runtime; }
  void OnLeadership(std::function<void(bool leads)> told) { on_leadership_ = std::move(told); }

  const Metadata& metadata() const { return metadata_; }
  // This coordinator's replica leads and has applied its own first entry.
  bool leads() const { return term_ != 0; }
  // The coordinator that leads as far as this one knows, by its number; 0: unknown.
  uint64_t leader() const;
  std::shared_ptr<replication::Replica> replica() const;
  // What metadata() shows is kept up with the others: this coordinator leads, or its replica is
  // open, knows who leads, and its log has room.
  bool follows() const;

  // The outcome when it is applied here. NOT_LEADER and UNAVAILABLE before that: an UNAVAILABLE
  // command may still be applied later.
  void Propose(v1::Command command, Proposed done);
  // OK once metadata() holds every command whose outcome anybody was told before this call.
  void ReadBarrier(Read done);

  void OnOpened(std::shared_ptr<const Metadata> metadata) override;
  void OnApplied(std::vector<replication::Entry> entries) override;
  void OnLeadershipBegan(replication::Term term) override;
  void OnLeadershipEnded(replication::Term term) override;

 private:
  struct Waiting {
    replication::Term term = 0;
    Proposed done;
  };

  void Follow(const replication::Entry& entry);
  void DropWaiting();

  Executor& control_;
  replication::Runtime* runtime_ = nullptr;
  std::function<void(bool)> on_leadership_;
  Metadata metadata_;
  replication::Term term_ = 0;  // in which it leads
  size_t proposing_ = 0;        // on their way to the log
  std::map<replication::Index, Waiting> waiting_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_METADATA_STORE_H_
