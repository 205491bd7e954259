// A recorded history of a real cluster: what each client asked, when, and what it was told. Checked
// for linearizability key by key, and written as JSON lines, for other checkers too:
//
//   {"client", "caches", "op", "key", "input", "output", "call_ns", "return_ns", "ok"}
//
// `caches`: the client keeps items in its memory, which may have answered a read. `ok` is true,
// false (not carried out: the store said so), or null (may have been carried out). Values are
// integers; a key without an item has the value 0. Operations: "read", "write", "delete" (a write
// of 0), "cas" (input [expected, new], output 1 if set), "add" (output the sum).
//
// A change has a line before it is asked for, with `return_ns` 0, which that of its outcome
// replaces: client and `call_ns` are the same. So the file of a process that was killed has all
// that it may have changed.
#ifndef RINGLEADER_TESTS_CLUSTER_HISTORY_H_
#define RINGLEADER_TESTS_CLUSTER_HISTORY_H_

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "tests/simulation/linearizability.h"

namespace ringleader::cluster {

enum class Outcome { kDone, kNotDone, kUnknown };

struct HistoryEvent {
  int client = 0;
  bool caches = false;
  int key = 0;
  simulation::RegisterEvent event;  // times in ns of one clock for all clients
  Outcome outcome = Outcome::kUnknown;
};

std::string JsonLine(const HistoryEvent& event);

// A history that is written while it happens. Thread-safe.
class HistoryFile {
 public:
  // A file that is not there yet; opened() tells whether it could be made.
  explicit HistoryFile(const std::string& path) : file_(path) {}
  bool opened() const { return file_.is_open(); }
  // With the kernel when it returns, so that kill -9 loses nothing.
  void Append(const HistoryEvent& event);

 private:
  Mutex mutex_;
  std::ofstream file_ ABSL_GUARDED_BY(mutex_);
};

// Of a HistoryFile. Its last line may be torn.
absl::StatusOr<std::vector<HistoryEvent>> ReadHistory(const std::string& path);

struct HistoryVerdict {
  bool linearizable = false;
  std::string explanation;  // if not: which key, and why or that it is undecided
};

// Every key begins without an item. An undecided key is a failure.
HistoryVerdict CheckHistory(const std::vector<HistoryEvent>& history, int keys, uint64_t steps_max);

}  // namespace ringleader::cluster

#endif  // RINGLEADER_TESTS_CLUSTER_HISTORY_H_
