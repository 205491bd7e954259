#include "common/build_info.h"

namespace ringleader {

absl::string_view BuildVersion() { return RINGLEADER_VERSION; }
absl::string_view BuildRevision() { return RINGLEADER_REVISION; }
absl::string_view BuildDescription() {
  return "Ringleader " RINGLEADER_VERSION " (" RINGLEADER_REVISION ")";
}

}  // namespace ringleader
