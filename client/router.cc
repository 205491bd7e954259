#include "client/router.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/router_operation.h"
#include "client/scan.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"

namespace ringleader::client {
namespace {

data::v1::Response ErrorResponse(data::v1::Error error, absl::string_view message) {
  data::v1::Response response;
  response.set_error(error);
  response.set_message(std::string(message));
  return response;
}

// Whether an answer to the last attempt is one for all of them: it comes from behind the
// partition's record of the write's sequence, or from a check that every attempt fails alike.
bool SettlesEarlierAttempts(data::v1::Error error) {
  return error == data::v1::ERROR_NONE || error == data::v1::ERROR_CONDITION_FAILED ||
         error == data::v1::ERROR_VALIDATION || error == data::v1::ERROR_UNKNOWN_OUTCOME;
}

int64_t Milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

Router::Router(const RouterOptions& options, Network& network, Executor& executor, Clock& clock,
               Random random)
    : options_(options),
      network_(network),
      executor_(executor),
      clock_(clock),
      random_(random.Fork()),
      retry_(options.retry, random.Fork()),
      sessions_(random.Fork()) {
  CHECK(options_.route == RouteMode::kDirect || !options_.coordinators.empty())
      << "a router without coordinators";
}

// Operations go in the order in which they came: the last one that holds a channel or a caller's
// stream ends it, and equal seeds give equal runs.
Router::~Router() {
  std::map<uint64_t, std::unique_ptr<Operation>> ordered;
  for (auto& [number, operation] : operations_) ordered[number] = std::move(operation);
  while (!ordered.empty()) ordered.erase(ordered.begin());
}

void Router::Execute(data::v1::Request request, ResponseCallback done) {
  const uint64_t bytes = request.ByteSizeLong();
  bool is_refused = false;
  bool is_first = false;
  {
    MutexLock lock(mutex_);
    is_refused = accepted_ >= options_.requests_max ||
                 (accepted_ > 0 && accepted_bytes_ + bytes > options_.bytes_max);
    if (!is_refused) {
      ++accepted_;
      accepted_bytes_ += bytes;
      is_first = incoming_.empty();
      incoming_.emplace_back(std::move(request), std::move(done));
    }
  }
  if (is_refused) {
    // On the executor like every other callback; bounded by how fast callers can be refused.
    executor_.Post([this, id = request.id(), done = std::move(done)]() mutable {
      ++counts_.refused;
      auto response = ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                                    "Too many requests are outstanding in this client");
      response.set_id(id);
      done(std::move(response));
    });
  } else if (is_first) {
    executor_.Post([this] { TakeIncoming(); });
  }
}

void Router::TakeIncoming() {
  std::vector<std::pair<data::v1::Request, ResponseCallback>> incoming;
  {
    MutexLock lock(mutex_);
    incoming.swap(incoming_);
  }
  for (auto& [request, done] : incoming) {
    const bool is_scan_of_all = request.has_scan() && request.route().partition() == 0 &&
                                options_.route != RouteMode::kCoordinators;
    if (!is_scan_of_all) {
      Begin(std::move(request), nullptr, std::move(done));
      continue;
    }
    Release(request.ByteSizeLong());  // its steps are counted, one at a time
    StartScan(*this, std::move(request), std::move(done));
  }
}

void Router::ExecuteStep(data::v1::Request request, std::shared_ptr<ScanStep> step,
                         ResponseCallback done) {
  {
    MutexLock lock(mutex_);
    ++accepted_;  // a scan was let in: its steps are not refused
    accepted_bytes_ += request.ByteSizeLong();
  }
  Begin(std::move(request), std::move(step), std::move(done));
}

void Router::Release(uint64_t bytes) {
  MutexLock lock(mutex_);
  CHECK_GE(accepted_, size_t{1});
  CHECK_GE(accepted_bytes_, bytes);
  --accepted_;
  accepted_bytes_ -= bytes;
}

void Router::Begin(data::v1::Request request, std::shared_ptr<ScanStep> step,
                   ResponseCallback done) {
  auto owned = std::make_unique<Operation>();
  Operation& operation = *owned;
  operation.number = ++last_operation_;
  operation.caller_id = request.id();
  operation.caller_epoch = request.route().epoch();
  operation.bytes = request.ByteSizeLong();
  operation.request = std::move(request);
  operation.done = std::move(done);
  operation.step = std::move(step);
  const uint32_t timeout_ms = operation.request.timeout_ms();
  const Duration timeout =
      timeout_ms == 0 ? options_.timeout : Duration(std::chrono::milliseconds(timeout_ms));
  operation.began = Now();
  operation.deadline = operation.began + std::min(timeout, options_.timeout_max);
  operations_.emplace(operation.number, std::move(owned));
  if (is_shut_down_) {
    return FinishWith(operation, data::v1::ERROR_UNAVAILABLE, "the client is closing");
  }
  SetExpiry(operation, operation.deadline);
  Attempt(operation);
}

Router::Operation* Router::Find(uint64_t number) {
  const auto found = operations_.find(number);
  return found == operations_.end() ? nullptr : found->second.get();
}

// The one way out of the router.
void Router::Finish(Operation& operation, data::v1::Response response) {
  CHECK(operation.channel == nullptr) << "an attempt is still under way";
  if (operation.retry_timer != 0) executor_.Cancel(operation.retry_timer);
  if (operation.expiry != Duration(0)) expiries_.erase({operation.expiry, operation.number});
  if (operation.ticket.has_value()) sessions_.End(*operation.ticket);
  Release(operation.bytes);
  if (operation.may_have_happened && !SettlesEarlierAttempts(response.error()) &&
      !MUTANT("unknown-called-deadline")) {
    response = ErrorResponse(
        data::v1::ERROR_UNKNOWN_OUTCOME,
        absl::StrCat("The write may have been carried out by an attempt that was not answered; the "
                     "last one: ",
                     response.message()));
  }
  response.set_id(operation.caller_id);
  ResponseCallback done = std::move(operation.done);
  operations_.erase(operation.number);
  done(std::move(response));
}

void Router::FinishWith(Operation& operation, data::v1::Error error, absl::string_view message) {
  Finish(operation, ErrorResponse(error, message));
}

// The time is over, or the client closes: what is certain about a request decides what is said.
void Router::GiveUp(Operation& operation, absl::string_view why) {
  if (operation.channel != nullptr) {
    const bool may_have_arrived = operation.channel->Forget(operation.channel_id);
    operation.channel = nullptr;
    if (may_have_arrived && operation.is_write()) operation.may_have_happened = true;
  }
  const std::string waited = absl::StrCat(
      why, " after ", Milliseconds(Now() - operation.began), " ms and ", operation.attempts,
      " attempts", operation.last_message.empty() ? "" : "; last: ", operation.last_message);
  if (operation.may_have_happened && !MUTANT("unknown-called-deadline")) {
    return FinishWith(operation, data::v1::ERROR_UNKNOWN_OUTCOME,
                      absl::StrCat("The write may have been carried out: ", waited));
  }
  if (is_shut_down_) return FinishWith(operation, data::v1::ERROR_UNAVAILABLE, waited);
  const bool was_throttled = operation.last_error == data::v1::ERROR_RESOURCE_EXHAUSTED;
  FinishWith(operation,
             was_throttled ? data::v1::ERROR_RESOURCE_EXHAUSTED : data::v1::ERROR_DEADLINE, waited);
}

void Router::RetryAfter(Operation& operation, Duration delay, bool also_when_map_changes) {
  CHECK(operation.channel == nullptr);
  CHECK_EQ(operation.retry_timer, TimerId{0});
  operation.wakes_with_map = also_when_map_changes;
  SetExpiry(operation, operation.deadline);
  operation.retry_timer = executor_.PostAfter(delay, [this, number = operation.number] {
    Operation* found = Find(number);
    // A wake-up by the map may have overtaken the timer's task.
    if (found == nullptr || found->retry_timer == 0) return;
    found->retry_timer = 0;
    Attempt(*found);
  });
}

void Router::SetExpiry(Operation& operation, Duration at) {
  if (operation.expiry == at) return;
  if (operation.expiry != Duration(0)) expiries_.erase({operation.expiry, operation.number});
  operation.expiry = at;
  expiries_.emplace(at, operation.number);
  ArmExpiry();
}

// One timer for all, never later than the first expiry; an early one finds nothing and arms again.
void Router::ArmExpiry() {
  if (expiries_.empty()) return;
  const Duration first = expiries_.begin()->first;
  if (expiry_timer_ != 0 && expiry_armed_for_ <= first) return;
  if (expiry_timer_ != 0) executor_.Cancel(expiry_timer_);
  expiry_armed_for_ = first;
  expiry_timer_ = executor_.PostAfter(first - Now(), [this] { Expire(); });
}

void Router::Expire() {
  expiry_timer_ = 0;
  const Duration now = Now();
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    Operation* operation = Find(expiries_.begin()->second);
    CHECK(operation != nullptr);
    expiries_.erase(expiries_.begin());
    operation->expiry = Duration(0);
    if (now >= operation->deadline) {
      GiveUp(*operation, "no answer in time");
      continue;
    }
    CHECK(operation->channel != nullptr) << "only an attempt expires before the deadline";
    const bool may_have_arrived = operation->channel->Forget(operation->channel_id);
    operation->channel = nullptr;
    NoAnswer(*operation, may_have_arrived, "no answer from the node");
  }
  ArmExpiry();
}

void Router::ApplyMap(coordinator::v1::MapUpdate update) {
  executor_.Post([this, update = std::move(update)] {
    if (const auto applied = ApplyMapNow(update); !applied.ok()) {
      LogWarning("cluster map: ", applied.status().ToString());
    }
  });
}

absl::StatusOr<bool> Router::ApplyMapNow(const coordinator::v1::MapUpdate& update) {
  auto applied = map_.Apply(update);
  if (!applied.ok() || !*applied) return applied;
  Wake([](const Operation&) { return true; });
  auto waiters = std::exchange(map_waiters_, {});
  for (auto& [number, waiter] : waiters) {
    executor_.Cancel(waiter.timer);
    executor_.Post(std::move(waiter.task));
  }
  return true;
}

void Router::Wake(absl::FunctionRef<bool(const Operation&)> concerns) {
  std::vector<uint64_t> woken;
  for (const auto& [number, operation] : operations_) {
    const bool waits = operation->retry_timer != 0 && operation->wakes_with_map;
    if (waits && concerns(*operation)) woken.push_back(number);
  }
  std::sort(woken.begin(), woken.end());  // in the order they came
  for (const uint64_t number : woken) {
    Operation* operation = Find(number);
    if (operation == nullptr || operation->retry_timer == 0) continue;
    executor_.Cancel(operation->retry_timer);
    operation->retry_timer = 0;
    Attempt(*operation);
  }
}

void Router::WhenMapChanges(Duration timeout, Task task) {
  const uint64_t number = ++last_map_waiter_;
  const TimerId timer = executor_.PostAfter(timeout, [this, number] {
    const auto found = std::find_if(map_waiters_.begin(), map_waiters_.end(),
                                    [&](const auto& waiter) { return waiter.first == number; });
    if (found == map_waiters_.end()) return;
    Task due = std::move(found->second.task);
    map_waiters_.erase(found);
    due();
  });
  map_waiters_.emplace_back(number, MapWaiter{std::move(task), timer});
}

void Router::Shutdown() {
  is_shut_down_ = true;
  TakeIncoming();
  std::vector<uint64_t> numbers;
  for (const auto& [number, operation] : operations_) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  for (const uint64_t number : numbers) {
    if (Operation* operation = Find(number); operation != nullptr) {
      GiveUp(*operation, "the client is closing");
    }
  }
  for (auto& [address, destination] : destinations_) {
    if (destination.channel != nullptr) {
      destination.channel->Close(absl::CancelledError("the client is closing"));
    }
  }
}

}  // namespace ringleader::client
