#include "tests/cluster/history.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "model/json.h"

namespace ringleader::cluster {
namespace {

using model::AttributeType;
using model::AttributeValue;
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

std::optional<int64_t> IntegerOf(const AttributeValue& value) {
  int64_t number = 0;
  if (!value.is_number() || !absl::SimpleAtoi(value.number().ToString(), &number)) return {};
  return number;
}

// The operation of that name, with its input; false: there is none such.
bool TakeOperation(absl::string_view name, const AttributeValue& input, RegisterEvent* event) {
  if (name == "read") return true;
  if (name == "cas") {
    if (!input.is_list() || input.list().size() != 2) return false;
    event->operation = RegisterOperation::kCompareAndSet;
    event->expected = IntegerOf(input.list()[0]).value_or(0);
    event->input = IntegerOf(input.list()[1]).value_or(0);
    return true;
  }
  if (name != "write" && name != "delete" && name != "add") return false;
  event->operation = name == "add" ? RegisterOperation::kAdd : RegisterOperation::kWrite;
  event->input = IntegerOf(input).value_or(0);
  return true;
}

// The reverse of JsonLine; nothing if the line is not whole.
std::optional<HistoryEvent> EventOf(absl::string_view line) {
  const auto item = model::ItemFromPlainJson(line);
  if (!item.ok()) return std::nullopt;
  const auto find = [&item](absl::string_view name) -> AttributeValue {
    const AttributeValue* found = item->Find(name);
    return found == nullptr ? AttributeValue() : *found;
  };
  const AttributeValue name = find("op"), caches = find("caches"), ok = find("ok");
  const auto client = IntegerOf(find("client")), key = IntegerOf(find("key"));
  const auto called = IntegerOf(find("call_ns")), returned = IntegerOf(find("return_ns"));
  if (!client || !key || *key < 0 || !called || !returned || !name.is_string() ||
      caches.type() != AttributeType::kBool) {
    return std::nullopt;
  }
  HistoryEvent event{static_cast<int>(*client), caches.boolean(), static_cast<int>(*key)};
  event.event.call = *called;
  event.event.returned = *returned;
  event.event.output = IntegerOf(find("output")).value_or(0);
  if (ok.type() == AttributeType::kBool) {
    event.outcome = ok.boolean() ? Outcome::kDone : Outcome::kNotDone;
  }
  if (!TakeOperation(name.string(), find("input"), &event.event)) return std::nullopt;
  return event;
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
      "{\"client\": ", event.client, ", \"caches\": ", event.caches ? "true" : "false",
      ", \"op\": \"", NameOf(what), "\", \"key\": ", event.key, ", \"input\": ", input,
      ", \"output\": ", has_output ? absl::StrCat(what.output) : "null",
      ", \"call_ns\": ", what.call, ", \"return_ns\": ", what.returned, ", \"ok\": ",
      event.outcome == Outcome::kDone ? "true"
                                      : (event.outcome == Outcome::kNotDone ? "false" : "null"),
      "}");
}

void HistoryFile::Append(const HistoryEvent& event) {
  const std::string line = absl::StrCat(JsonLine(event), "\n");
  MutexLock lock(mutex_);
  file_ << line << std::flush;
  CHECK(file_.good()) << "the history can't be written";
}

absl::StatusOr<std::vector<HistoryEvent>> ReadHistory(const std::string& path) {
  std::ifstream file(path);
  if (!file.is_open()) return absl::NotFoundError(absl::StrCat("can't read ", path));
  std::vector<HistoryEvent> history;
  std::map<std::pair<int, int64_t>, size_t> places;  // by client and call
  for (std::string line; std::getline(file, line);) {
    const bool is_torn = file.eof();
    const auto event = EventOf(line);
    if (!event.has_value()) {
      if (is_torn) break;
      return absl::DataLossError(absl::StrCat(path, ": no event: ", line));
    }
    const auto [place, is_new] =
        places.try_emplace({event->client, event->event.call}, history.size());
    if (is_new) {
      history.push_back(*event);
    } else {
      history[place->second] = *event;
    }
  }
  return history;
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
