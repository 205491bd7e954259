#include "coordinator/metadata_machine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status.h"
#include "coordinator/sealed_file.h"
#include "replication/configuration.h"

namespace ringleader::coordinator {
namespace {

using replication::AppliedState;
using replication::Entry;
using replication::EntryKind;

constexpr absl::string_view kMetadataFile = "metadata";
constexpr SealedFormat kMetadataFormat = {.magic = "RINGMETA", .version = 1};
// Far above kPartitionsMax partitions, kNodesMax nodes and kTablesMax tables with their longest
// names.
constexpr uint64_t kMetadataBytesMax = 64 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<MetadataMachine>> MetadataMachine::Open(
    FileSystem& file_system, absl::string_view directory, const AppliedState& initial,
    MetadataObserver& observer, const VersionRange& versions) {
  std::unique_ptr<MetadataMachine> machine(
      new MetadataMachine(file_system, directory, observer, versions));
  machine->applied_ = initial;
  const std::string path = JoinPath(directory, kMetadataFile);
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (exists) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file_system, path, kMetadataBytesMax));
    RETURN_IF_ERROR(Annotate(machine->Decode(bytes), path));
    RETURN_IF_ERROR(machine->CheckVersion());
    // What is read may not be durable: the sync after its renaming may have failed, or was never
    // reached.
    RETURN_IF_ERROR(file_system.SyncDirectory(directory));
  }
  machine->durable_ = machine->applied_.last.index;
  observer.OnOpened(std::make_shared<const Metadata>(machine->metadata_));
  return machine;
}

absl::Status MetadataMachine::Apply(absl::Span<const Entry> entries) {
  for (const Entry& entry : entries) RETURN_IF_ERROR(ApplyOne(entry));
  observer_.OnApplied(std::vector<Entry>(entries.begin(), entries.end()));
  return absl::OkStatus();
}

absl::Status MetadataMachine::ApplyOne(const Entry& entry) {
  CHECK_EQ(entry.index, applied_.last.index + 1);
  if (entry.kind == EntryKind::kConfiguration) {
    CHECK(entry.payload != nullptr);
    ASSIGN_OR_RETURN(applied_.configuration, replication::DecodeConfiguration(*entry.payload));
    applied_.configuration_index = entry.index;
  } else if (entry.kind == EntryKind::kCommand) {
    CHECK(entry.payload != nullptr);
    RETURN_IF_ERROR(metadata_.Apply(absl::string_view(*entry.payload)).status());
    RETURN_IF_ERROR(CheckVersion());
  }
  applied_.last = {entry.term, entry.index};
  return absl::OkStatus();
}

// A log is applied from before the raises that it holds, so too low a version says nothing here.
absl::Status MetadataMachine::CheckVersion() const {
  if (metadata_.cluster_version() <= versions_.newest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the cluster is at version ", metadata_.cluster_version(), ", and this build runs ",
      versions_.Text(), ": another build has to be installed"));
}

absl::Status MetadataMachine::Flush() {
  RETURN_IF_ERROR(ReplaceFile(file_system_, JoinPath(directory_, kMetadataFile), Encode()));
  durable_ = applied_.last.index;
  return absl::OkStatus();
}

absl::StatusOr<AppliedState> MetadataMachine::Capture(absl::string_view directory) {
  RETURN_IF_ERROR(ReplaceFile(file_system_, JoinPath(directory, kMetadataFile), Encode()));
  return applied_;
}

std::string MetadataMachine::Encode() const {
  v1::MetadataCheckpoint checkpoint;
  checkpoint.set_term(applied_.last.term);
  checkpoint.set_index(applied_.last.index);
  checkpoint.set_configuration_index(applied_.configuration_index);
  checkpoint.set_configuration(replication::EncodeConfiguration(applied_.configuration));
  *checkpoint.mutable_image() = metadata_.Image();
  return Seal(kMetadataFormat, checkpoint.SerializeAsString());
}

absl::Status MetadataMachine::Decode(absl::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string payload, Unseal(kMetadataFormat, bytes));
  v1::MetadataCheckpoint checkpoint;
  if (!checkpoint.ParseFromString(payload)) return absl::DataLossError("malformed checkpoint");
  applied_.last = {checkpoint.term(), checkpoint.index()};
  applied_.configuration_index = checkpoint.configuration_index();
  ASSIGN_OR_RETURN(applied_.configuration,
                   replication::DecodeConfiguration(checkpoint.configuration()));
  ASSIGN_OR_RETURN(metadata_, Metadata::FromImage(checkpoint.image()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<replication::StateMachine>> MetadataMachineFactory::Open(
    replication::GroupId group, replication::ReplicaId, absl::string_view directory,
    const AppliedState& initial) {
  if (group != kMetadataGroup) {
    return absl::InvalidArgumentError("coordinators have one group: their metadata");
  }
  auto machine = MetadataMachine::Open(file_system_, directory, initial, observer_, versions_);
  if (!machine.ok()) return machine.status();
  return std::unique_ptr<replication::StateMachine>(*std::move(machine));
}

}  // namespace ringleader::coordinator
