// A request inside the router: for router.cc and router_attempt.cc only.
#ifndef RINGLEADER_CLIENT_ROUTER_OPERATION_H_
#define RINGLEADER_CLIENT_ROUTER_OPERATION_H_

#include <memory>
#include <optional>
#include <string>

#include "client/router.h"

namespace ringleader::client {

struct Router::Operation {
  uint64_t number = 0;
  data::v1::Request request;  // each attempt writes the envelope anew
  ResponseCallback done;
  uint64_t caller_id = 0;
  uint64_t bytes = 0;
  Duration began{0};
  Duration deadline{0};
  Duration expiry{0};  // its entry in expiries_; 0: none

  // Where it goes. The table is found once: a name that is given to a new table meanwhile is not
  // followed there, unless a node says that the one found is gone.
  uint64_t table = 0;
  std::string table_name;  // that was asked for, once the request has the id in its place
  data::v1::Error table_error = data::v1::ERROR_NONE;  // the metadata leader's, since it began
  std::optional<model::Token> token;
  uint64_t partition = 0;
  uint64_t caller_epoch = 0;  // by which the caller knows the one partition of its scan; 0: any
  std::shared_ptr<ScanStep> step;  // null unless part of a scan

  std::optional<WriteSessions::Ticket> ticket;  // writes without a session of their caller's

  // The attempt under way: `channel` is set while one is.
  std::shared_ptr<Channel> channel;
  uint64_t channel_id = 0;
  Target target;
  Duration attempt_ends{0};

  int attempts = 0;
  int tries_at_replicas = 0;
  TimerId retry_timer = 0;
  bool wakes_with_map = false;
  bool may_have_happened = false;  // an attempt ended without a definite answer
  data::v1::Error last_error = data::v1::ERROR_NONE;
  std::string last_message;

  bool is_write() const {
    return request.has_put() || request.has_delete_() || request.has_update();
  }
  data::v1::Consistency consistency() const {
    if (request.has_get()) return request.get().consistency();
    if (request.has_query()) return request.query().consistency();
    if (request.has_scan()) return request.scan().consistency();
    return data::v1::CONSISTENCY_LINEARIZABLE;
  }
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_ROUTER_OPERATION_H_
