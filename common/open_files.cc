#include "common/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/logging.h"

namespace ringleader {
namespace {

constexpr rlim_t kOpenFilesWanted = 65536;  // as in deploy/systemd

}  // namespace

void RaiseOpenFilesLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kOpenFilesWanted) return;
  limit.rlim_cur = std::min(kOpenFilesWanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LogWarning("the limit of open files can't be raised: ", strerror(errno));
  }
}

}  // namespace ringleader
