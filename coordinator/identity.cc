#include "coordinator/identity.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "coordinator/sealed_file.h"

namespace ringleader::coordinator {
namespace {

constexpr absl::string_view kIdentityFile = "coordinator.identity";
constexpr absl::string_view kLockFile = "LOCK";
constexpr SealedFormat kIdentityFormat = {.magic = "RINGCOID", .version = 1};
constexpr uint64_t kIdentityBytesMax = 64 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<IdentityFile>> IdentityFile::Open(FileSystem& file_system,
                                                                 const std::string& directory,
                                                                 const std::string& cluster,
                                                                 uint64_t coordinator,
                                                                 Random& random) {
  RETURN_IF_ERROR(CreateDirectories(file_system, directory));
  std::unique_ptr<IdentityFile> file(new IdentityFile(file_system, directory));
  auto lock = file_system.Lock(JoinPath(directory, kLockFile));
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(absl::StrCat(directory, " is in use by another process"));
  }
  ASSIGN_OR_RETURN(file->lock_, std::move(lock));
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(JoinPath(directory, kIdentityFile)));
  if (exists) {
    RETURN_IF_ERROR(file->Load(cluster, coordinator));
    // It may have been renamed by a process that was killed before it synced the directory.
    RETURN_IF_ERROR(file_system.SyncDirectory(directory));
    return file;
  }
  ASSIGN_OR_RETURN(const bool has_log, file_system.Exists(JoinPath(directory, "log")));
  if (has_log) {
    return absl::DataLossError(absl::StrCat(directory, " holds a log but no ", kIdentityFile,
                                            "; empty the directory to rejoin the cluster"));
  }
  v1::CoordinatorIdentity identity;
  identity.set_cluster(cluster);
  identity.set_coordinator(coordinator);
  identity.set_incarnation(random.Next() | 1);
  RETURN_IF_ERROR(file->Replace(std::move(identity)));
  return file;
}

absl::Status IdentityFile::Load(const std::string& cluster, uint64_t coordinator) {
  const std::string path = JoinPath(directory_, kIdentityFile);
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file_system_, path, kIdentityBytesMax));
  const auto payload = Unseal(kIdentityFormat, bytes);
  if (!payload.ok()) return Annotate(payload.status(), path);
  if (!identity_.ParseFromString(*payload)) {
    return absl::DataLossError(absl::StrCat(path, ": malformed"));
  }
  if (identity_.cluster() != cluster) {
    return absl::FailedPreconditionError(absl::StrCat(
        directory_, " belongs to the cluster '", identity_.cluster(), "', not '", cluster, "'"));
  }
  if (identity_.coordinator() != coordinator) {
    return absl::FailedPreconditionError(absl::StrCat(directory_, " belongs to coordinator ",
                                                      identity_.coordinator() - 1, ", not ",
                                                      coordinator - 1));
  }
  return absl::OkStatus();
}

absl::Status IdentityFile::Replace(v1::CoordinatorIdentity identity) {
  RETURN_IF_ERROR(ReplaceFile(file_system_, JoinPath(directory_, kIdentityFile),
                              Seal(kIdentityFormat, identity.SerializeAsString())));
  identity_ = std::move(identity);
  return absl::OkStatus();
}

}  // namespace ringleader::coordinator
