// The coordinators' metadata as a replicated state machine: applies the group's commands to
// Metadata, keeps it in memory, and writes it to one file by Flush and Capture.
//
// File `metadata` in the replica's directory: a sealed file (sealed_file.h), magic "RINGMETA",
// version 1, payload MetadataCheckpoint; replaced whole.
//
// Whoever works with the metadata on another executor keeps a copy of its own by applying what the
// observer is told, which is cheaper than copying the state for each change and gives it every
// command's outcome.
#ifndef RINGLEADER_COORDINATOR_METADATA_MACHINE_H_
#define RINGLEADER_COORDINATOR_METADATA_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "coordinator/metadata.h"
#include "replication/state_machine.h"

namespace ringleader::coordinator {

inline constexpr replication::GroupId kMetadataGroup = 1;

// Called on the apply executor, in order; must not block.
class MetadataObserver {
 public:
  virtual ~MetadataObserver() = default;
  // The state that a replica starts from: after a start, and after a snapshot.
  virtual void OnOpened(std::shared_ptr<const Metadata> metadata) = 0;
  // The next entries, of all kinds, after they were applied.
  virtual void OnApplied(std::vector<replication::Entry> entries) = 0;
  virtual void OnLeadershipBegan(replication::Term term) = 0;
  virtual void OnLeadershipEnded(replication::Term term) = 0;
};

class MetadataMachine : public replication::StateMachine {
 public:
  // DATA_LOSS: the file is damaged; FAILED_PRECONDITION: written by a newer program, or the
  // cluster's version is above `versions`, as also Apply ends once it is. The file system
  // and the observer outlive it.
  static absl::StatusOr<std::unique_ptr<MetadataMachine>> Open(
      FileSystem& file_system, absl::string_view directory,
      const replication::AppliedState& initial, MetadataObserver& observer,
      const VersionRange& versions = {});

  replication::AppliedState applied() const override { return applied_; }
  absl::Status Apply(absl::Span<const replication::Entry> entries) override;
  replication::Index durable_applied() const override { return durable_; }
  absl::Status Flush() override;
  absl::StatusOr<replication::AppliedState> Capture(absl::string_view directory) override;
  void LeadershipBegan(replication::Term term) override { observer_.OnLeadershipBegan(term); }
  void LeadershipEnded(replication::Term term) override { observer_.OnLeadershipEnded(term); }

 private:
  MetadataMachine(FileSystem& file_system, absl::string_view directory, MetadataObserver& observer,
                  const VersionRange& versions)
      : file_system_(file_system),
        directory_(directory),
        observer_(observer),
        versions_(versions) {}

  absl::Status ApplyOne(const replication::Entry& entry);
  absl::Status CheckVersion() const;
  std::string Encode() const;
  absl::Status Decode(absl::string_view bytes);

  FileSystem& file_system_;
  const std::string directory_;
  MetadataObserver& observer_;
  const VersionRange versions_;
  Metadata metadata_;
  replication::AppliedState applied_;
  replication::Index durable_ = 0;
};

class MetadataMachineFactory : public replication::StateMachineFactory {
 public:
  MetadataMachineFactory(FileSystem& file_system, MetadataObserver& observer,
                         const VersionRange& versions)
      : file_system_(file_system), observer_(observer), versions_(versions) {}
  absl::StatusOr<std::unique_ptr<replication::StateMachine>> Open(
      replication::GroupId group, replication::ReplicaId replica, absl::string_view directory,
      const replication::AppliedState& initial) override;

 private:
  FileSystem& file_system_;
  MetadataObserver& observer_;
  const VersionRange versions_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_METADATA_MACHINE_H_
