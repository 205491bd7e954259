#include "common/cluster_version.h"

#include "absl/strings/str_cat.h"

#ifdef RINGLEADER_CLAIMED_VERSIONS
#include <cstdio>
#include <cstdlib>
#endif

namespace ringleader {

std::string VersionRange::Text() const { return absl::StrCat(oldest, " to ", newest); }

#ifdef RINGLEADER_CLAIMED_VERSIONS

VersionRange BuildVersions() {
  VersionRange claimed;
  const char* const text = std::getenv("RINGLEADER_CLAIMED_VERSIONS");
  if (text == nullptr) return claimed;
  if (std::sscanf(text, "%u-%u", &claimed.oldest, &claimed.newest) != 2 || claimed.oldest == 0 ||
      claimed.oldest > claimed.newest) {
    std::fprintf(stderr, "RINGLEADER_CLAIMED_VERSIONS=%s is no range such as 1-2\n", text);
    std::exit(2);
  }
  return claimed;
}

#else

VersionRange BuildVersions() { return {}; }

#endif

}  // namespace ringleader
