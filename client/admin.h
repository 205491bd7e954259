// Cluster's unary calls, sent to any coordinator and on to the metadata leader, and repeated until
// their time is over: each of them, carried out twice, leaves the cluster as once, as long as
// nobody else undoes it in between. What changes is the answer (a table that an unanswered attempt
// created exists already), and the error then says so.
//
// Bytes in, bytes out: the callers know the messages. All on the router's executor, which outlives
// this.
#ifndef RINGLEADER_CLIENT_ADMIN_H_
#define RINGLEADER_CLIENT_ADMIN_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/errors.h"
#include "client/router.h"
#include "common/executor.h"
#include "common/network.h"
#include "common/unary_client.h"

namespace ringleader::client {

// What a call's metadata says of how long its caller waits: it bounds a coordinator that passes the
// call on to the metadata leader.
inline constexpr absl::string_view kCallTimeoutKey = "ringleader-timeout-ms";

class Admin {
 public:
  Admin(Router& router, Network& network, Executor& executor, Random random)
      : router_(router), executor_(executor), calls_(network, executor), random_(random) {}

  // One unary call, of any process. The callback runs on the executor, once.
  void CallUnary(absl::string_view address, absl::string_view method, std::string request,
                 Duration timeout, UnaryClient::Done done);

  // `Response` has an `outcome`. The callback gets the response of a call that succeeded, or the
  // outcome as a status; kUnknownOutcome if time ended after an attempt that was not answered.
  template <typename Response>
  void Call(absl::string_view name, const google::protobuf::MessageLite& request, Duration timeout,
            absl::AnyInvocable<void(absl::StatusOr<Response>)> done);

 private:
  // Reads an answer's outcome; an error if it can't be read.
  using ReadOutcome = absl::StatusOr<coordinator::v1::Outcome> (*)(const std::string& answer);
  struct Run;

  void Start(absl::string_view name, std::string request, Duration timeout,
             ReadOutcome read_outcome, UnaryClient::Done done);
  void Attempt(std::shared_ptr<Run> run);
  void Answered(std::shared_ptr<Run> run, absl::StatusOr<std::string> answer);
  void Retry(std::shared_ptr<Run> run, const absl::Status& why);

  Router& router_;
  Executor& executor_;
  UnaryClient calls_;  // the network may outlive this, and with it a call
  Random random_;
  size_t coordinator_ = 0;
};

// What the metadata leader says of a table, for Router::AskForTablesBy. `admin` is there as long as
// that router carries out requests.
TableQuestion AskMetadataLeader(Admin& admin);

template <typename Response>
void Admin::Call(absl::string_view name, const google::protobuf::MessageLite& request,
                 Duration timeout, absl::AnyInvocable<void(absl::StatusOr<Response>)> done) {
  Start(
      name, request.SerializeAsString(), timeout,
      [](const std::string& answer) -> absl::StatusOr<coordinator::v1::Outcome> {
        Response response;
        if (!response.ParseFromString(answer)) {
          return absl::DataLossError("the coordinator's answer can't be read");
        }
        return response.outcome();
      },
      [done = std::move(done)](absl::StatusOr<std::string> answer) mutable {
        if (!answer.ok()) return done(answer.status());
        Response response;
        response.ParseFromString(*answer);
        done(std::move(response));
      });
}

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_ADMIN_H_
