#include "tests/simulation/cluster_counts.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/metrics.h"
#include "tests/simulation/run_result.h"

namespace ringleader::simulation {
namespace {

// What a client's cache met.
void Tally(const CacheStatistics& cache, std::map<std::string, uint64_t>& counts) {
  counts["cache: hit"] += cache.hits;
  counts["cache: miss"] += cache.misses;
  counts["cache: lease had run out"] += cache.expired;
  counts["cache: granted"] += cache.inserted;
  counts["cache: taken back"] += cache.invalidated;
}

// Counters and how often a histogram was told something; not what every run has by the thousand.
bool IsOfInterest(absl::string_view name) {
  const absl::string_view family = name.substr(0, name.find('{'));
  if (absl::StartsWith(family, "ringleader_transport_")) return false;
  if (absl::StrContains(family, "_bytes_")) return false;
  return absl::EndsWith(family, "_total") || absl::EndsWith(family, "_count");
}

void Tally(const AdminHost& admin, absl::string_view process,
           std::map<std::string, uint64_t>& counts) {
  MetricSink sink;
  admin.collect(sink);
  const std::string text = sink.Text();
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t gap = line.rfind(' ');
    if (gap == absl::string_view::npos || absl::StartsWith(line, "#")) continue;
    double value = 0;
    const absl::string_view name = line.substr(0, gap);
    if (!IsOfInterest(name) || !absl::SimpleAtod(line.substr(gap + 1), &value)) continue;
    counts[absl::StrCat(process, ": ", name)] += static_cast<uint64_t>(value);
  }
}

}  // namespace

void TallyProcess(ClusterMachine& machine, std::map<std::string, uint64_t>& counts) {
  if (machine.runtime() != nullptr) Tally(*machine.runtime(), counts);
  if (machine.node != nullptr) Tally(machine.node->Admin(), "node", counts);
  if (machine.coordinator != nullptr) Tally(machine.coordinator->Admin(), "coordinator", counts);
  if (machine.connection != nullptr) Tally(machine.connection->cache_statistics(), counts);
}

}  // namespace ringleader::simulation
