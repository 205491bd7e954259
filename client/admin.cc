#include "client/admin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::client {
namespace {

constexpr absl::string_view kService = "/ringleader.coordinator.v1.Cluster/";
constexpr Duration kAttemptTimeout = std::chrono::seconds(5);
constexpr Duration kRetryDelayMax = std::chrono::milliseconds(500);

}  // namespace

void Admin::CallUnary(absl::string_view address, absl::string_view method, std::string request,
                      Duration timeout, UnaryClient::Done done) {
  // For a coordinator that passes it on to the metadata leader.
  const int64_t ms = timeout / std::chrono::milliseconds(1);
  CallOptions options;
  options.timeout = timeout;
  options.connection = "map";
  options.metadata = {{std::string(kCallTimeoutKey), absl::StrCat(std::max<int64_t>(ms, 1))}};
  calls_.Call(address, method, std::move(request), options, std::move(done));
}

struct Admin::Run {
  std::string method;
  std::string request;
  Duration deadline{0};
  Duration attempt_timeout{0};
  ReadOutcome read_outcome = nullptr;
  UnaryClient::Done done;
  bool is_read = false;
  std::string address;
  std::string redirected_to;
  int redirections = 0;
  bool is_ambiguous = false;  // an attempt was not answered, or may have been carried out
  absl::Status last;
};

void Admin::Start(absl::string_view name, std::string request, Duration timeout,
                  ReadOutcome read_outcome, UnaryClient::Done done) {
  auto run = std::make_shared<Run>();
  run->method = absl::StrCat(kService, name);
  run->is_read = name == "Status" || name == "DescribeTable" || name == "ListTables";
  run->request = std::move(request);
  run->deadline = router_.Now() + timeout;
  // A coordinator that is silent must not take all of a short question's time.
  run->attempt_timeout = run->is_read ? std::min(kAttemptTimeout, timeout / 3) : kAttemptTimeout;
  run->read_outcome = read_outcome;
  run->done = std::move(done);
  Attempt(std::move(run));
}

void Admin::Attempt(std::shared_ptr<Run> run) {
  const Duration left = run->deadline - router_.Now();
  if (left <= Duration(0)) {
    const ErrorKind kind =
        run->is_ambiguous && !run->is_read ? ErrorKind::kUnknownOutcome : ErrorKind::kUnavailable;
    return run->done(MakeError(
        kind, absl::StrCat("no coordinator answered in time; last: ", run->last.message())));
  }
  const auto& named = router_.options().coordinators;
  const auto& known = router_.map().coordinators();
  if (named.empty() && known.empty()) {
    return Retry(std::move(run), MakeError(ErrorKind::kUnavailable, "no coordinator is known yet"));
  }
  const size_t which = coordinator_ % (named.size() + known.size());
  run->address = !run->redirected_to.empty() ? std::exchange(run->redirected_to, {})
                 : which < named.size()      ? named[which]
                                             : known[which - named.size()];
  std::string request = run->request;
  CallUnary(run->address, run->method, std::move(request), std::min(left, run->attempt_timeout),
            [this, run](absl::StatusOr<std::string> answer) { Answered(run, std::move(answer)); });
}

void Admin::Answered(std::shared_ptr<Run> run, absl::StatusOr<std::string> answer) {
  if (!answer.ok()) {
    const absl::Status why =
        MakeError(ErrorKind::kUnavailable,
                  absl::StrCat("coordinator ", run->address, ": ", answer.status().ToString()));
    run->is_ambiguous = true;
    return Retry(std::move(run), why);
  }
  const auto outcome = run->read_outcome(*answer);
  if (!outcome.ok()) return run->done(MakeError(ErrorKind::kInternal, outcome.status().message()));
  run->is_ambiguous |= outcome->may_have_happened();
  const bool is_elsewhere = outcome->error() == coordinator::v1::ERROR_NOT_LEADER;
  if (!is_elsewhere && outcome->error() != coordinator::v1::ERROR_UNAVAILABLE) {
    if (const absl::Status status = StatusOf(*outcome); !status.ok()) {
      return run->done(
          !run->is_ambiguous || run->is_read
              ? status
              : MakeError(KindOf(status), absl::StrCat(status.message(),
                                                       " (an earlier attempt, whose "
                                                       "outcome is unknown, may have done this)")));
    }
    return run->done(std::move(answer));
  }
  // To the leader at once, but only once: two that point at each other get a pause.
  if (is_elsewhere && !outcome->leader_address().empty() && run->redirections++ % 2 == 0) {
    run->redirected_to = outcome->leader_address();
    return Attempt(std::move(run));
  }
  Retry(std::move(run), StatusOf(*outcome));
}

void Admin::Retry(std::shared_ptr<Run> run, const absl::Status& why) {
  run->last = why;
  ++coordinator_;
  const auto delay = Duration(random_.Between(kRetryDelayMax.count() / 10, kRetryDelayMax.count()));
  executor_.PostAfter(delay, [this, run = std::move(run)] { Attempt(run); });
}

TableQuestion AskMetadataLeader(Admin& admin) {
  return [&admin](const std::string& name, Duration timeout, TableAnswer answer) {
    coordinator::v1::TableRequest request;
    request.set_name(name);
    admin.Call<coordinator::v1::TableResponse>(
        "DescribeTable", request, timeout,
        [answer = std::move(answer)](
            const absl::StatusOr<coordinator::v1::TableResponse>& response) mutable {
          if (response.ok()) {
            const bool is_active = response->table().state() == coordinator::v1::TABLE_STATE_ACTIVE;
            return answer(is_active ? data::v1::ERROR_NONE : data::v1::ERROR_TABLE_IN_USE);
          }
          if (KindOf(response.status()) != ErrorKind::kNotFound) {
            return answer(response.status());
          }
          answer(data::v1::ERROR_TABLE_NOT_FOUND);
        });
  };
}

}  // namespace ringleader::client
