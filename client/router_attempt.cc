// One attempt of a request: where it goes, and what follows from its answer.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/request_key.h"
#include "client/router.h"
#include "client/router_operation.h"
#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"

namespace ringleader::client {
namespace {

uint32_t MillisecondsLeft(Duration left) {
  const int64_t whole = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
  return static_cast<uint32_t>(std::max<int64_t>(whole, 1));
}

}  // namespace

void Router::Attempt(Operation& operation) {
  CHECK(operation.channel == nullptr);
  CHECK_EQ(operation.retry_timer, TimerId{0});
  if (!map_.routable()) return WaitForMap(operation, "no coordinator has sent the cluster map yet");
  if (!Resolve(operation)) return;
  if (operation.is_write() && !PrepareWrite(operation)) return;
  std::optional<Target> target = PickTarget(operation);
  if (!target.has_value()) {
    ++operation.attempts;
    operation.last_message =
        absl::StrCat("partition ", operation.partition, " has no node that could be asked");
    return RetryLater(operation, 0);
  }
  operation.target = *std::move(target);
  Send(operation);
}

// Finds table, token and partition. False: the operation is over, or waits.
bool Router::Resolve(Operation& operation) {
  if (!ResolveTable(operation)) return false;
  const uint64_t wanted = operation.request.route().partition();
  if (operation.token.has_value()) {
    operation.partition = map_.FindByToken(*operation.token)->id();
  } else if (operation.step != nullptr) {
    const auto* partition = map_.FindByToken(operation.step->from);
    operation.partition = partition->id();
    operation.step->last = partition->last_token();
  } else if (wanted != 0) {  // a scan of one partition
    if (operation.partition == 0) operation.partition = wanted;
    const auto* partition = map_.FindPartition(operation.partition);
    if (partition == nullptr) {
      FinishWith(operation, data::v1::ERROR_VALIDATION,
                 absl::StrCat("There is no partition ", wanted));
      return false;
    }
    if (operation.caller_epoch != 0 && operation.caller_epoch != partition->epoch()) {
      FinishWith(operation, data::v1::ERROR_UNAVAILABLE,
                 absl::StrCat("partition ", wanted, " is known here as of epoch ",
                              partition->epoch(), ", not ", operation.caller_epoch));
      return false;
    }
  } else {  // a scan of all, through a coordinator
    operation.partition = map_.partitions().front()->id();
  }
  return true;
}

bool Router::ResolveTable(Operation& operation) {
  if (operation.table != 0) return true;
  const data::v1::Request& request = operation.request;
  const bool is_by_id = request.table_case() == data::v1::Request::kTableId;
  const MapTable* table =
      is_by_id ? map_.FindTable(request.table_id()) : map_.FindTable(request.table_name());
  // Who names an id has it from a map: where that is newer than this one, the table is not gone.
  const bool is_behind = is_by_id && (table == nullptr ? request.table_id() > map_.highest_table()
                                                       : table->description.state() ==
                                                             coordinator::v1::TABLE_STATE_CREATING);
  if (is_behind && Now() - operation.began >= options_.unknown_table_wait) {
    FinishWith(operation, data::v1::ERROR_UNAVAILABLE, "the table is not known here yet");
    return false;
  }
  if (is_behind) {
    WaitForMap(operation, "the table is not known");
    return false;
  }
  if (table == nullptr) {
    TableUnusable(operation, data::v1::ERROR_TABLE_NOT_FOUND, request.table_name());
    return false;
  }
  if (table->description.state() != coordinator::v1::TABLE_STATE_ACTIVE) {
    TableUnusable(operation, data::v1::ERROR_TABLE_IN_USE, table->schema.name);
    return false;
  }
  const auto token = TokenOfRequest(request, table->schema);
  if (!token.ok()) {
    FinishWith(operation, data::v1::ERROR_VALIDATION, token.status().message());
    return false;
  }
  if (!request.has_scan()) {
    operation.token = *token;
  } else if (operation.step != nullptr && token->has_value()) {
    if (**token < operation.step->from || **token > operation.step->last) {
      FinishWith(operation, data::v1::ERROR_VALIDATION,
                 "The provided starting key is outside of the segment to be scanned");
      return false;
    }
    operation.step->from = **token;
  }
  if (!is_by_id) operation.table_name = std::move(*operation.request.mutable_table_name());
  operation.table = table->schema.id;
  if (operation.step != nullptr) operation.step->table = operation.table;
  return true;
}

// What the map has may be old. Who names an id had it from a map: that one is not newer than this.
// What can be no table's name needs no asking.
void Router::TableUnusable(Operation& operation, data::v1::Error error, absl::string_view name) {
  const data::v1::Request& request = operation.request;
  const bool is_by_name = request.table_case() != data::v1::Request::kTableId;
  const bool can_be_asked =
      is_by_name && table_question_ && model::ValidateName(name, "TableName").ok();
  if (operation.table_error != data::v1::ERROR_NONE) {
    error = operation.table_error;
  } else if (can_be_asked) {
    AskForTable(request.table_name());
    return WaitForMap(operation, "whether there is such a table is being asked");
  } else if (error == data::v1::ERROR_TABLE_NOT_FOUND &&
             Now() - operation.began < options_.unknown_table_wait) {
    return WaitForMap(operation, "the table is not known");
  }
  FinishWith(operation, error,
             error == data::v1::ERROR_TABLE_NOT_FOUND
                 ? "Requested resource not found"
                 : absl::StrCat("Table is being created or deleted: ", name));
}

// One question at a time for a name, and few in all: who waits comes again. Its answer holds for
// what began before it was asked.
void Router::AskForTable(const std::string& name) {
  if (tables_asked_for_.size() >= options_.table_questions_max) return;
  const Duration asked = Now();
  if (!tables_asked_for_.emplace(name, asked).second) return;
  const auto take = [this, name, asked](const absl::StatusOr<data::v1::Error>& answer) {
    tables_asked_for_.erase(name);
    // Nobody could say, and who waits asks again; or it is there, and the map will have it.
    if (!answer.ok() || *answer == data::v1::ERROR_NONE) return;
    const auto is_answered = [&](const Operation& operation) {
      return operation.table == 0 && operation.began <= asked &&
             operation.request.table_name() == name;
    };
    for (const auto& [number, operation] : operations_) {
      if (is_answered(*operation)) operation->table_error = *answer;
    }
    Wake(is_answered);
  };
  table_question_(name, options_.table_question_timeout, take);
}

// False: there is no sequence to be had now, and the operation waits.
bool Router::PrepareWrite(Operation& operation) {
  // An attempt that was not answered may still be on its way: from then on this is not the only
  // copy.
  const bool may_be_alone = !operation.may_have_happened;
  if (operation.request.has_session() && !operation.ticket.has_value()) {  // its caller's
    if (!may_be_alone) operation.request.mutable_session()->set_sole_copy(false);
    return true;
  }
  if (operation.ticket.has_value() && MUTANT("retry-is-a-new-write")) {
    sessions_.End(*operation.ticket);
    operation.ticket.reset();
  }
  if (!operation.ticket.has_value()) operation.ticket = sessions_.Begin(*operation.token);
  if (!operation.ticket.has_value()) {
    ++operation.attempts;
    operation.last_error = data::v1::ERROR_RESOURCE_EXHAUSTED;
    operation.last_message = "too many writes to this part of the ring are outstanding";
    RetryLater(operation, 0);
    return false;
  }
  operation.ticket->Fill(operation.request.mutable_session());
  operation.request.mutable_session()->set_sole_copy(may_be_alone || MUTANT("always-sole-copy"));
  return true;
}

std::optional<Router::Target> Router::PickTarget(Operation& operation) {
  const coordinator::v1::Partition& partition = *map_.FindPartition(operation.partition);
  Target target{.leader = map_.LeaderOf(partition, Now())};
  if (options_.route != RouteMode::kCoordinators) {
    const bool is_eventual = operation.consistency() == data::v1::CONSISTENCY_EVENTUAL;
    target.address = is_eventual ? PickReplica(partition, random_.Next()) : target.leader.address;
    if (!target.address.empty() && !IsLeftAlone(target.address)) return target;
    if (options_.route == RouteMode::kDirect) {
      target.address = PickReplica(partition, static_cast<size_t>(operation.tries_at_replicas++));
      if (target.address.empty()) return std::nullopt;
      return target;
    }
  }
  target.address = PickCoordinator();
  target.is_coordinator = true;
  return target;
}

// Of the partition's replicas on nodes with an address, number `which` modulo their count.
std::string Router::PickReplica(const coordinator::v1::Partition& partition, size_t which) const {
  std::vector<const std::string*> addresses;
  for (const auto& replica : partition.replicas()) {
    const auto* node = map_.FindNode(replica.node());
    if (node != nullptr && !node->address().empty()) addresses.push_back(&node->address());
  }
  return addresses.empty() ? std::string() : *addresses[which % addresses.size()];
}

std::string Router::PickCoordinator() const {
  const auto& known = map_.coordinators();
  // Those the caller named come first: they may be a load balancer, and are known to be reachable.
  const size_t named = options_.coordinators.size();
  const size_t which = coordinator_ % (named + known.size());
  return which < named ? options_.coordinators[which] : known[which - named];
}

Router::Destination& Router::DestinationOf(const std::string& address) {
  Destination& destination = destinations_[address];
  if (destination.channel == nullptr) {
    destination.channel = std::make_shared<Channel>(network_, executor_, address, options_.channel);
  }
  return destination;
}

bool Router::IsLeftAlone(const std::string& address) const {
  if (options_.route != RouteMode::kAuto) return false;
  const auto found = destinations_.find(address);
  return found != destinations_.end() && Now() < found->second.left_alone_until;
}

void Router::NoteReachability(const std::string& address, bool is_reachable) {
  Destination& destination = DestinationOf(address);
  if (is_reachable) {
    destination.left_alone_until = destination.left_alone_for = Duration(0);
  } else if (Now() >= destination.left_alone_until && destination.channel->failures() > 0) {
    destination.left_alone_for = std::clamp(2 * destination.left_alone_for,
                                            options_.unreachable_min, options_.unreachable_max);
    destination.left_alone_until = Now() + destination.left_alone_for;
  }
}

void Router::Send(Operation& operation) {
  ++operation.attempts;
  ++counts_.attempts;
  if (operation.attempts > 1) {
    RARE_BRANCH("client: a request is sent again");
    ++counts_.retries;
  }
  const Duration now = Now();
  data::v1::Request& request = operation.request;
  const MapTable* table = map_.FindTable(operation.table);
  request.set_table_id(operation.table);
  request.set_timeout_ms(MillisecondsLeft(operation.deadline - now));
  const bool names_partition = !operation.target.is_coordinator || operation.step != nullptr ||
                               request.route().partition() != 0;
  if (operation.target.is_coordinator && !request.has_scan()) {
    request.clear_route();  // it knows better
  } else if (names_partition) {
    request.mutable_route()->set_partition(operation.partition);
    request.mutable_route()->set_epoch(map_.FindPartition(operation.partition)->epoch());
  }
  request.set_schema_version(
      operation.target.is_coordinator || table == nullptr ? 0 : table->schema.version);
  std::shared_ptr<Channel> channel = DestinationOf(operation.target.address).channel;
  const uint64_t id = channel->Submit(
      &request, [this, number = operation.number, attempt = operation.attempts](
                    Completion completion) { Completed(number, attempt, std::move(completion)); });
  if (id == 0) {
    operation.last_error = data::v1::ERROR_RESOURCE_EXHAUSTED;
    operation.last_message =
        absl::StrCat("too many requests to ", operation.target.address, " are outstanding");
    return RetryLater(operation, 0);
  }
  operation.channel = std::move(channel);
  operation.channel_id = id;
  SetExpiry(operation, std::min(operation.deadline, now + options_.attempt_timeout));
}

void Router::Completed(uint64_t number, int attempt, Completion completion) {
  Operation* operation = Find(number);
  CHECK(operation != nullptr && operation->attempts == attempt && operation->channel != nullptr)
      << "an answer to an attempt that was given up";
  operation->channel = nullptr;
  if (completion.fate == Fate::kAnswered) {
    NoteReachability(operation->target.address, true);
    return Answered(*operation, std::move(completion.response));
  }
  NoteReachability(operation->target.address, false);
  NoAnswer(*operation, completion.fate == Fate::kUnknown,
           absl::StrCat(operation->target.address, ": ", completion.status.ToString()));
}

void Router::Answered(Operation& operation, data::v1::Response response) {
  operation.last_error = response.error();
  if (response.error() != data::v1::ERROR_NONE) operation.last_message = response.message();
  switch (response.error()) {
    case data::v1::ERROR_WRONG_ROUTE:
      return WrongRoute(operation, response);
    case data::v1::ERROR_RESOURCE_EXHAUSTED:
      if (options_.passes_throttling && !operation.may_have_happened) break;
      [[fallthrough]];
    case data::v1::ERROR_WRONG_SCHEMA:
    case data::v1::ERROR_UNAVAILABLE:
      if (operation.target.is_coordinator) ++coordinator_;
      return RetryElsewhere(operation, response.retry_after_ms());
    case data::v1::ERROR_INTERNAL:
    case data::v1::ERROR_UNKNOWN_OUTCOME:
      if (!operation.is_write()) break;
      if (response.is_final()) {
        response.set_error(data::v1::ERROR_UNKNOWN_OUTCOME);
        break;
      }
      operation.may_have_happened = true;
      return RetryLater(operation, response.retry_after_ms());
    case data::v1::ERROR_SESSION_EXPIRED:
      return SessionExpired(operation, std::move(response));
    case data::v1::ERROR_TABLE_NOT_FOUND:
      return TableIsGone(operation, std::move(response));
    default:
      break;
  }
  retry_.Answered();
  Finish(operation, std::move(response));
}

// A node speaks of the table that this map has for the name, and there may be another by now. Whom
// the caller or a coordinator named is the table that was meant.
void Router::TableIsGone(Operation& operation, data::v1::Response response) {
  if (operation.table_name.empty() || operation.target.is_coordinator ||
      operation.may_have_happened) {
    retry_.Answered();
    return Finish(operation, std::move(response));
  }
  if (operation.ticket.has_value()) {
    sessions_.End(*operation.ticket);
    operation.ticket.reset();
  }
  operation.table = 0;
  operation.request.set_table_name(std::exchange(operation.table_name, {}));
  TableUnusable(operation, data::v1::ERROR_TABLE_NOT_FOUND, operation.request.table_name());
}

void Router::NoAnswer(Operation& operation, bool may_have_arrived, absl::string_view why) {
  if (may_have_arrived && operation.is_write()) operation.may_have_happened = true;
  operation.last_error = data::v1::ERROR_UNAVAILABLE;
  operation.last_message = std::string(why);
  if (operation.target.is_coordinator) {
    ++coordinator_;
  } else {
    map_.Refute(operation.partition, operation.target.leader, Now());
  }
  RetryElsewhere(operation, 0);
}

void Router::WrongRoute(Operation& operation, const data::v1::Response& response) {
  if (response.has_route_hint() && map_.Learn(response.route_hint())) {
    const uint64_t partition = operation.partition;
    Attempt(operation);  // at once: what is known has moved forward, so this can't go on
    return Wake([partition](const Operation& waiting) { return waiting.partition == partition; });
  }
  if (operation.target.is_coordinator) {
    ++coordinator_;
  } else if (operation.target.address == operation.target.leader.address) {
    map_.Refute(operation.partition, operation.target.leader, Now());
  }
  RetryElsewhere(operation, response.retry_after_ms());
}

void Router::SessionExpired(Operation& operation, data::v1::Response response) {
  if (operation.may_have_happened || !operation.ticket.has_value()) {
    return Finish(operation, std::move(response));
  }
  // No attempt was carried out, and this sequence never will be.
  sessions_.Renew(*operation.ticket);
  sessions_.End(*operation.ticket);
  operation.ticket.reset();
  operation.request.clear_session();
  RetryLater(operation, 0);
}

// The attempt failed. Did the map learn of a newer leader while it was under way, then nothing will
// wake the operation any more: it is tried at once. Each time what is known has moved forward.
void Router::RetryElsewhere(Operation& operation, uint32_t retry_after_ms) {
  const auto* partition = map_.FindPartition(operation.partition);
  if (retry_after_ms == 0 && partition != nullptr) {
    const Leader leader = map_.LeaderOf(*partition, Now());
    const Leader& asked = operation.target.leader;
    if (leader.node != 0 && IsNewer(leader, asked.epoch, asked.term)) {
      return RetryAfter(operation, Duration(0), /*also_when_map_changes=*/false);
    }
  }
  RetryLater(operation, retry_after_ms);
}

void Router::RetryLater(Operation& operation, uint32_t retry_after_ms) {
  RetryAfter(operation,
             retry_.NextDelay(operation.attempts, std::chrono::milliseconds(retry_after_ms)),
             /*also_when_map_changes=*/retry_after_ms == 0);
}

void Router::WaitForMap(Operation& operation, absl::string_view why) {
  operation.last_message = std::string(why);
  RetryAfter(operation, options_.unknown_table_wait / 4, /*also_when_map_changes=*/true);
}

}  // namespace ringleader::client
