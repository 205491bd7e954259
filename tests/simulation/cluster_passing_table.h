// A table that comes and goes while clients use it. Each of its items is one register over all the
// tables of that name: the end of one writes 0, some time between the call of DeleteTable and its
// answer.
//
// What a table's absence answers says nothing of a write: a copy of it may find the next table.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_PASSING_TABLE_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_PASSING_TABLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/cluster_world.h"
#include "tests/simulation/linearizability.h"

namespace ringleader::simulation {

class PassingTable {
 public:
  explicit PassingTable(ClusterWorld& world);

  // Creates or deletes it, in turn. Waits.
  void Change();
  // A read, a write or a delete by this client, if it runs; some reads from its memory alone.
  void Use(int client);
  // Ends it and has one made anew that is used. Waits. False: that took too long.
  bool Renew(std::string* why_not);
  bool idle() const { return under_way_ == 0; }
  // Reports to world.Violation.
  void Check();

  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  absl::Status Create();
  absl::Status Delete();
  void Done(size_t key, RegisterEvent event, const absl::Status& status);
  void Refused(const absl::Status& status);
  int64_t Now() const { return world_.simulation().now().count(); }

  ClusterWorld& world_;
  Random random_;
  bool is_there_ = false;  // as far as is known
  int64_t last_value_ = 0;
  uint64_t under_way_ = 0;
  std::vector<std::vector<RegisterEvent>> histories_;  // by key
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_PASSING_TABLE_H_
