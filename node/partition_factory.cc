#include "node/partition_factory.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr uint8_t kPartitionFormat = 1;
constexpr uint64_t kPlanFileBytesMax = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<replication::StateMachine>> PartitionFactory::Open(
    replication::GroupId group, replication::ReplicaId replica, absl::string_view directory,
    const replication::AppliedState& initial) {
  // Only a new replica needs its plan. Read for every one, a damaged plan would keep a replica from
  // opening for ever, also with the state that its peers send in place of what it can't open.
  std::optional<model::TokenRange> range;
  if (initial.last.index > 0) {
    ASSIGN_OR_RETURN(range, ReadPlan(group, replica));
  }
  const PartitionPlace place{
      StorePlace{place_.store.file_system, place_.store.clock,
                 *compactions_[group % compactions_.size()], place_.store.flushes,
                 place_.store.block_cache, place_.store.write_buffer_bytes, place_.store.metrics},
      place_.registry, place_.admission, place_.options, place_.cache_sessions};
  ASSIGN_OR_RETURN(std::unique_ptr<Partition> partition,
                   Partition::Open(place, group, directory, initial, range));
  return std::unique_ptr<replication::StateMachine>(std::move(partition));
}

std::string PartitionFactory::PlanPath(replication::GroupId group,
                                       replication::ReplicaId replica) const {
  return JoinPath(plans_directory_, absl::StrCat(group, ".", replica));
}

absl::StatusOr<std::optional<model::TokenRange>> PartitionFactory::ReadPlan(
    replication::GroupId group, replication::ReplicaId replica) const {
  const std::string path = PlanPath(group, replica);
  const absl::StatusOr<std::string> bytes =
      ReadFile(place_.store.file_system, path, kPlanFileBytesMax);
  if (absl::IsNotFound(bytes.status())) return std::optional<model::TokenRange>();
  RETURN_IF_ERROR(bytes.status());
  const absl::StatusOr<model::TokenRange> range = DecodePlan(*bytes);
  if (!range.ok()) return Annotate(range.status(), path);
  return std::optional<model::TokenRange>(*range);
}

absl::Status PartitionFactory::SavePlan(replication::GroupId group, replication::ReplicaId replica,
                                        const model::TokenRange& range) {
  RETURN_IF_ERROR(CreateDirectories(place_.store.file_system, plans_directory_));
  return ReplaceFile(place_.store.file_system, PlanPath(group, replica), EncodePlan(range));
}

void PartitionFactory::RemovePlan(replication::GroupId group, replication::ReplicaId replica) {
  // A plan that stays is never read again: its replica has a tombstone.
  place_.store.file_system.RemoveFile(PlanPath(group, replica)).IgnoreError();
}

std::string EncodePlan(const model::TokenRange& range) {
  std::string bytes(1, static_cast<char>(kPartitionFormat));
  PutFixed64(range.first, bytes);
  PutFixed64(range.last, bytes);
  PutFixed32(crc32c::Value(bytes), bytes);
  return bytes;
}

absl::StatusOr<model::TokenRange> DecodePlan(absl::string_view bytes) {
  // Every format ends with its checksum, so that damage is told from a newer format: the one costs
  // a replica's state, which its peers have, the other stops the node.
  constexpr size_t kChecksumBytes = 4;
  if (bytes.size() <= kChecksumBytes ||
      LoadFixed32(bytes.data() + bytes.size() - kChecksumBytes) !=
          crc32c::Value(bytes.substr(0, bytes.size() - kChecksumBytes))) {
    return absl::DataLossError("a damaged plan");
  }
  Decoder decoder(bytes.substr(0, bytes.size() - kChecksumBytes));
  const uint8_t format = decoder.Byte();
  if (format != kPartitionFormat) {
    return absl::FailedPreconditionError(absl::StrCat("a plan has format ", format,
                                                      "; this build knows ", kPartitionFormat,
                                                      ": a newer program wrote it"));
  }
  model::TokenRange range;
  range.first = decoder.Fixed64();
  range.last = decoder.Fixed64();
  if (!decoder.AtEnd()) return absl::DataLossError("a damaged plan");
  return range;
}

}  // namespace ringleader
