// What applications do with the cluster through the client library, and the record of what they
// saw: linearizable reads, puts, conditional puts, counter adds and deletes of a few shared keys,
// each history checked at the end against a single register (linearizability.h). Deleting writes 0,
// which is also what an absent item reads as.
//
// The library's own words are part of what is checked: after every error but kUnknownOutcome an
// operation must not have happened, so it leaves the history; a failed condition is a read; an add
// that was carried out twice gives a sum that fits nowhere.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/cluster_world.h"
#include "tests/simulation/linearizability.h"

namespace ringleader::simulation {

struct ClusterWorkloadOptions {
  int lanes = 2;  // of each client: requests at once
  int keys = 8;
  Duration think_max = std::chrono::milliseconds(100);
  uint64_t padding_bytes_max = 2000;
  uint64_t reads_percent = 40;
};

class ClusterWorkload {
 public:
  ClusterWorkload(ClusterWorld& world, const ClusterWorkloadOptions& options);

  // Waits. The table that everything else is about.
  absl::Status CreateTable();
  void Start();
  // Nothing new begins; what is under way goes on.
  void Stop() { stopped_ = true; }
  bool idle() const { return under_way_ == 0; }
  // Reads every key once more, as long as it takes until `timeout`. Waits. False: some key was not
  // answered; `why_not` says which.
  bool ReadAll(Duration timeout, std::string* why_not);
  // Checks every key's history. Reports to world.Violation.
  void Check();

  uint64_t succeeded() const { return succeeded_; }
  const std::map<std::string, uint64_t>& counts() const { return counts_; }
  // When a key's newest success was.
  Duration last_success(int key) const { return last_success_[static_cast<size_t>(key)]; }
  const ClusterWorkloadOptions& options() const { return options_; }

 private:
  struct Lane {
    Random random;
    int client = 0;
    std::vector<int64_t> seen;  // by key: as it read last
  };

  void Next(size_t lane);
  RegisterEvent Draw(Lane& lane, int key);
  void LookIntoMemory(Lane& lane);
  void Send(int client, int key, RegisterEvent event, uint64_t padding,
            std::function<void(RegisterEvent, const absl::Status&)> done);
  void Answered(size_t lane, int key, const RegisterEvent& event, const absl::Status& status);
  void Record(int key, RegisterEvent event, const absl::Status& status);
  int64_t Now() const { return world_.simulation().now().count(); }

  ClusterWorld& world_;
  const ClusterWorkloadOptions options_;
  bool stopped_ = false;
  std::vector<Lane> lanes_;
  int64_t last_value_ = 0;
  uint64_t under_way_ = 0;
  uint64_t succeeded_ = 0;
  std::vector<std::vector<RegisterEvent>> histories_;  // by key
  std::vector<Duration> last_success_;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_
