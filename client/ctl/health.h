// What a cluster's status says about its health. Pure.
#ifndef RINGLEADER_CLIENT_CTL_HEALTH_H_
#define RINGLEADER_CLIENT_CTL_HEALTH_H_

#include <string>
#include <vector>

#include "client/ctl/output.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader::ctl {

struct Health {
  std::vector<std::string> problems;  // partitions without a quorum, alarms; none: healthy
  std::string text;                   // for people, a line each

  bool is_healthy() const { return problems.empty(); }
};

Health HealthOf(const coordinator::v1::StatusResponse& status);
Table NodeTable(const coordinator::v1::StatusResponse& status);
// "1 to 2"; "unknown" for a process that has not said.
std::string VersionsText(const coordinator::v1::VersionRange& versions);
// Every process that is to run the cluster's version: its build, and what that can run.
Table BuildTable(const coordinator::v1::StatusResponse& status);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_HEALTH_H_
