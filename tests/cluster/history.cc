#include "tests/cluster/history.h"

#include "absl/strings/str_cat.h"

namespace ringleader::cluster {
namespace {

using simulation::LinearizabilityResult;
using simulation::RegisterEvent;
using simulation::RegisterOperation;

std::string NameOf(const RegisterEvent& event) {
  switch (event.operation) {
    case RegisterOperation::kRead:
      return "read";
    case RegisterOperation::kWrite:
      return event.input == 0 ? "delete" : "write";
    case RegisterOperation::kSwap:
      return "swap";
    case RegisterOperation::kCompareAndSet:
      return "cas";
    case RegisterOperation::kAdd:
      return "add";
  }
  return "";
}

}  // namespace

std::string JsonLine(const HistoryEvent& event) {
  const RegisterEvent& what = event.event;
  std::string input = "null";
  if (what.operation == RegisterOperation::kCompareAndSet) {
    input = absl::StrCat("[", what.expected, ", ", what.input, "]");
  } else if (what.operation != RegisterOperation::kRead) {
    input = absl::StrCat(what.input);
  }
  const bool has_output =
      event.outcome == Outcome::kDone && what.operation != RegisterOperation::kWrite;
  return absl::StrCat(
      "{\"client\": ", event.client, ", \"op\": \"", NameOf(what), "\", \"key\": ", event.key,
      ", \"input\": ", input, ", \"output\": ", has_output ? absl::StrCat(what.output) : "null",
      ", \"call_ns\": ", what.call, ", \"return_ns\": ", what.returned, ", \"ok\": ",
      event.outcome == Outcome::kDone ? "true"
                                      : (event.outcome == Outcome::kNotDone ? "false" : "null"),
      "}");
}

HistoryVerdict CheckHistory(const std::vector<HistoryEvent>& history, int keys,
                            uint64_t steps_max) {
  std::vector<std::vector<RegisterEvent>> by_key(static_cast<size_t>(keys));
  for (const HistoryEvent& event : history) {
    // What was refused says nothing, and a read that got no answer neither.
    if (event.outcome == Outcome::kNotDone) continue;
    RegisterEvent copy = event.event;
    copy.known = event.outcome == Outcome::kDone;
    if (!copy.known && copy.operation == RegisterOperation::kRead) continue;
    by_key[static_cast<size_t>(event.key)].push_back(copy);
  }
  for (size_t key = 0; key < by_key.size(); ++key) {
    const LinearizabilityResult result =
        simulation::CheckRegister(std::move(by_key[key]), /*initial=*/0, steps_max);
    if (result.verdict != LinearizabilityResult::kLinearizable) {
      return {false, absl::StrCat("key ", key, ": ", result.explanation)};
    }
  }
  return {true, ""};
}

}  // namespace ringleader::cluster
