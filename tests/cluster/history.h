// A recorded history of a real cluster: what each client asked, when, and what it was told. Checked
// for linearizability key by key, and written as JSON lines for other checkers:
//
//   {"client", "op", "key", "input", "output", "call_ns", "return_ns", "ok"}
//
// `ok` is true, false (not carried out: the store said so), or null (may have been carried out).
// Values are integers; a key without an item has the value 0. Operations: "read", "write", "delete"
// (a write of 0), "cas" (input [expected, new], output 1 if set), "add" (output the sum).
#ifndef RINGLEADER_TESTS_CLUSTER_HISTORY_H_
#define RINGLEADER_TESTS_CLUSTER_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/linearizability.h"

namespace ringleader::cluster {

enum class Outcome { kDone, kNotDone, kUnknown };

struct HistoryEvent {
  int client = 0;
  int key = 0;
  simulation::RegisterEvent event;  // times in ns of one clock for all clients
  Outcome outcome = Outcome::kUnknown;
};

std::string JsonLine(const HistoryEvent& event);

struct HistoryVerdict {
  bool linearizable = false;
  std::string explanation;  // if not: which key, and why or that it is undecided
};

// Every key begins without an item. An undecided key is a failure.
HistoryVerdict CheckHistory(const std::vector<HistoryEvent>& history, int keys, uint64_t steps_max);

}  // namespace ringleader::cluster

#endif  // RINGLEADER_TESTS_CLUSTER_HISTORY_H_
