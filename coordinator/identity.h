// What a coordinator's data directory says of itself: whose it is, which incarnation, and how far
// formation has got. One sealed file (sealed_file.h), `coordinator.identity`, magic "RINGCOID",
// version 1, payload CoordinatorIdentity; replaced whole, so that a crash leaves the old or the
// new.
#ifndef RINGLEADER_COORDINATOR_IDENTITY_H_
#define RINGLEADER_COORDINATOR_IDENTITY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/random.h"
#include "ringleader/coordinator/v1/metadata.pb.h"

namespace ringleader::coordinator {

class IdentityFile {
 public:
  // Takes the directory for this process (making it if needed), reads the identity, or mints one
  // and makes it durable. Blocks.
  //   UNAVAILABLE          another process has the directory
  //   FAILED_PRECONDITION  it belongs to another cluster or coordinator, or to a newer program
  //   DATA_LOSS            the file is damaged
  static absl::StatusOr<std::unique_ptr<IdentityFile>> Open(FileSystem& file_system,
                                                            const std::string& directory,
                                                            const std::string& cluster,
                                                            uint64_t coordinator, Random& random);

  const v1::CoordinatorIdentity& identity() const { return identity_; }
  // Durable when it returns OK. After an error nobody knows which is: the process must end.
  absl::Status Replace(v1::CoordinatorIdentity identity);

 private:
  IdentityFile(FileSystem& file_system, const std::string& directory)
      : file_system_(file_system), directory_(directory) {}
  absl::Status Load(const std::string& cluster, uint64_t coordinator);

  FileSystem& file_system_;
  const std::string directory_;
  std::unique_ptr<FileLock> lock_;
  v1::CoordinatorIdentity identity_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_IDENTITY_H_
