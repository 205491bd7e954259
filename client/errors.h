// The errors of the wire as the statuses of ringleader/error.h. Thread-safe.
#ifndef RINGLEADER_CLIENT_ERRORS_H_
#define RINGLEADER_CLIENT_ERRORS_H_

#include "absl/status/status.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"
#include "ringleader/data/v1/data.pb.h"
#include "ringleader/error.h"

namespace ringleader::client {

absl::Status StatusOfResponse(const data::v1::Response& response);
absl::Status StatusOf(const coordinator::v1::Outcome& outcome);

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_ERRORS_H_
