// What applications do with the cluster through the client library, and the record of what they
// saw: reads, puts, conditional puts, counter adds and deletes of a few shared keys, each history
// checked at the end against a single register (linearizability.h). Deleting writes 0, which is
// also what an absent item reads as.
//
// Reads come as gets, as queries of the two items of a partition key and as scans, in pages, and
// are in the histories of all keys that they tell of. A read that may be stale by some time is one
// that began so much earlier. An eventually consistent one has to show something that the key had,
// or may have had, before it was answered.
//
// Half of the puts and deletes ask for the item that was there. The rest of an item follows from
// its value, so that every item that is shown is seen to be whole; and what is said of its version
// has to fit (item_versions.h).
//
// When a client's process is killed, what it had under way stays open: nobody heard of it.
//
// The library's own words are part of what is checked: after every error but kUnknownOutcome an
// operation must not have happened, so it leaves the history; a failed condition is a read; an add
// that was carried out twice gives a sum that fits nowhere.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/cluster_passing_table.h"
#include "tests/simulation/cluster_world.h"
#include "tests/simulation/item_versions.h"
#include "tests/simulation/linearizability.h"

namespace ringleader::simulation {

struct ClusterWorkloadOptions {
  int lanes = 2;  // of each client: requests at once
  int keys = 8;
  Duration think_max = std::chrono::milliseconds(100);
  uint64_t padding_bytes_max = 2000;
  uint64_t reads_percent = 40;
  uint64_t deletes_percent = 5;      // of the writes
  uint64_t conditions_percent = 25;  // of the other writes
};

inline constexpr absl::string_view kWorkloadTable = "things";
inline constexpr int kKeysOfAGroup = 2;  // items of one partition key
// Written values are this far apart, so that a sum tells which one was added to.
inline constexpr int64_t kValueStep = 1'000'000;

Item WorkloadKey(int key);
// The key of an item; -1: it is none of ours.
int NumberOfItem(const Item& item);
int64_t ValueOfItem(const Item& item);

class ClusterWorkload {
 public:
  ClusterWorkload(ClusterWorld& world, PassingTable& passing,
                  const ClusterWorkloadOptions& options);

  // Waits. The table that everything else is about.
  absl::Status CreateTable();
  void Start();
  // Nothing new begins; what is under way goes on.
  void Stop() { stopped_ = true; }
  bool idle() const { return under_way_ == 0; }
  // Adds to every key, or reads every key, as long as it takes until `timeout`. Waits. False: some
  // key's was not carried out; `why_not` says which.
  bool AddToAll(Duration timeout, std::string* why_not);
  bool ReadAll(Duration timeout, std::string* why_not);
  // What clients derived from watched reads and still keep is of what ReadAll has read.
  void CheckDerived();
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
    // The operation under way; what comes of an earlier one is not listened to.
    uint64_t operation = 0;
    bool is_waiting = false;
    int key = 0;
    RegisterEvent event;
  };
  // What an operation came to.
  struct Answer {
    RegisterEvent event;
    absl::Status status;
    uint64_t version = 0;  // 0: none was told
  };
  using Answered = std::function<void(Answer)>;
  // What a client keeps of an item's value, as client.h says: the mark of the read that it is of.
  struct Derived {
    uint64_t mark = 0;
    std::optional<int64_t> value;
  };
  // One query or scan, page by page.
  struct PagedRead {
    size_t lane = 0;
    uint64_t operation = 0;
    int group = -1;  // of the keys that are asked for; negative: a scan of all
    bool is_eventual = false;
    QueryOptions options;
    int64_t began = 0;
    int64_t page_began = 0;
    std::set<int> found;
    int last = -1;  // that was found
  };

  void Next(size_t lane);
  void Begin(size_t lane);
  RegisterEvent Draw(Lane& lane, int key);
  void LookIntoMemory(Lane& lane);
  void Send(int client, int key, const RegisterEvent& event, Answered done);
  void Write(client::Connection& connection, int key, const RegisterEvent& event, Answered done);
  void Take(size_t lane, int key, const Answer& answer);
  // The operation is over; false: nobody waits for it any more.
  bool Over(size_t lane, uint64_t operation);
  void ClientKilled(int client);
  void Get(int client, int key, const RegisterEvent& event, Answered done);
  void Served(int key);
  void Refused(const absl::Status& status);

  // cluster_workload_reads.cc
  void GetStale(size_t lane, int key);
  void GetEventual(size_t lane, int key);
  void ReadPages(size_t lane);
  void NextPage(std::shared_ptr<PagedRead> read);
  void TakePage(std::shared_ptr<PagedRead> read, const absl::StatusOr<QueryPage>& page);
  void SawEventually(int key, int64_t value, uint64_t version, int64_t call);
  void CheckEventual();
  void Record(int key, Answer answer);
  Item ItemOf(int key, int64_t value) const;
  // The value of an item that was shown; what is not whole is a violation.
  int64_t Whole(int key, const Item& item);
  void Saw(int key, const Answer& answer, bool is_eventual);
  bool DoAll(RegisterOperation operation, Duration timeout, std::string* why_not);
  int64_t Now() const { return world_.simulation().now().count(); }

  ClusterWorld& world_;
  PassingTable& passing_;
  const ClusterWorkloadOptions options_;
  bool stopped_ = false;
  std::vector<Lane> lanes_;
  int64_t last_value_ = 0;
  uint64_t under_way_ = 0;
  uint64_t succeeded_ = 0;
  std::vector<std::vector<RegisterEvent>> histories_;  // by key
  std::vector<std::vector<RegisterEvent>> eventual_;   // by key: reads that may be stale
  std::vector<std::vector<SeenVersion>> versions_;     // by key
  std::vector<Duration> last_success_;
  std::vector<int64_t> last_seen_;               // by key: by whoever read or wrote it last
  std::vector<std::map<int, Derived>> derived_;  // by client; by key
  uint64_t last_mark_ = 0;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_WORKLOAD_H_
