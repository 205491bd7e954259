// The gate of section 8 of the design, asserted at every commit: when an entry that changes an item
// is committed, nobody holds an unexpired grant on it from a lower index.
//
// Looked at is the memory of every process that caches: what a lookup there would answer now, by
// that machine's clocks, also while the process stands still. The moment is just before the first
// replica applies the entry. Until then nobody can have been granted what it writes, so that
// whatever memory still answers is older.
//
// A grant that is on its way at that moment is found when it has come: from then on, now and then,
// memory is looked at for what the newest change of an item has made old.
//
// Not thread-safe: one simulation, one thread.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_GATE_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_GATE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/item_cache.h"
#include "model/key_codec.h"
#include "replication/types.h"
#include "tests/simulation/simulated_network.h"

namespace ringleader::simulation {

// A process that caches.
struct CachingProcess {
  HostId host = 0;
  const client::ItemCache* memory = nullptr;
};

class ClusterGate {
 public:
  // `processes`: all that run or stand still. `violated` is told what broke.
  ClusterGate(std::function<std::vector<CachingProcess>()> processes,
              std::function<void(const std::string&)> violated)
      : processes_(std::move(processes)), violated_(std::move(violated)) {}

  // A replica is about to apply these.
  void Applying(replication::GroupId partition, absl::Span<const replication::Entry> entries);
  // Looks for what is older than the newest change, and at who holds what now.
  void LookAround();

  // How often it was asserted, and over what.
  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  // The newest one of an item.
  struct Change {
    replication::GroupId partition = 0;
    replication::LogPosition position;
    bool is_delete = false;
    std::set<HostId> holders;  // that were seen since
  };

  void Assert(absl::string_view key, const Change& change);
  void AssertTable(model::TableId table, const Change& change);
  void Violated(absl::string_view key, const Change& change, const CachingProcess& process,
                const client::ItemCache::Held& held, absl::string_view when);
  static bool IsOlder(const client::ItemCache::Held& held, const Change& change);

  const std::function<std::vector<CachingProcess>()> processes_;
  const std::function<void(const std::string&)> violated_;
  std::map<replication::GroupId, replication::Index> applied_;  // the highest, by any replica
  std::map<std::string, Change, std::less<>> changes_;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_GATE_H_
