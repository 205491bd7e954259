// How coordinators with empty directories become one cluster, once, and how one that lost its data
// comes back. See README.md, "Formation", for why it can't form twice.
//
//   every coordinator   asks all others Hello until it has a place
//   the first one       makes the plan when all have answered and none is formed
//   the others          take a plan that names their own incarnation
//   whose is not named  asks to Rejoin, and gets a new replica id from the leader
//
// The plan is durable before anybody is told of it, and what it makes is made from the durable
// plan, as often as it takes.
//
// Everything happens on the control executor. It writes the identity file there: before the
// coordinator has a place, nothing else runs on it.
#ifndef RINGLEADER_COORDINATOR_FORMATION_H_
#define RINGLEADER_COORDINATOR_FORMATION_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/cluster_version.h"
#include "common/executor.h"
#include "common/random.h"
#include "common/unary_client.h"
#include "coordinator/identity.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader::coordinator {

inline constexpr absl::string_view kHelloMethod = "/ringleader.coordinator.v1.Formation/Hello";
inline constexpr absl::string_view kRejoinMethod = "/ringleader.coordinator.v1.Formation/Rejoin";

struct FormationOptions {
  std::vector<std::string> addresses;  // of all coordinators, this one included, in order
  uint32_t partitions = 64;
  uint32_t replicas = 3;
  VersionRange versions;
  Duration retry_period = std::chrono::milliseconds(500);
  Duration call_timeout = std::chrono::seconds(2);
};

class Formation {
 public:
  // All outlive it. `placed`: the identity has a plan and a replica id now; told once.
  // `failed`: the identity can't be written any more, and the process must end.
  Formation(const FormationOptions& options, IdentityFile& identity, UnaryClient& client,
            Executor& control, Random random, std::function<void()> placed,
            std::function<void(const absl::Status&)> failed);

  void Start();
  // Answers a peer.
  v1::HelloResponse Hello(const v1::HelloRequest& request);
  // Which incarnation is at a coordinator's address now; 0: nobody answers, or another coordinator
  // does.
  void AskIncarnation(uint64_t coordinator, std::function<void(uint64_t incarnation)> told);

 private:
  struct Peer {
    bool asked = false;     // a call is under way
    bool unformed = false;  // answered so, under `incarnation`
    uint64_t incarnation = 0;
    VersionRange versions;
  };

  uint64_t self() const { return identity_.identity().coordinator(); }
  v1::HelloRequest Greeting() const;
  bool placed() const { return identity_.identity().replica() != 0; }
  void Round();
  void Ask(uint64_t coordinator);
  void Answered(uint64_t coordinator, const v1::HelloResponse& response);
  void FormIfAllAgree();
  void Adopt(const v1::FormationPlan& plan);
  void Rejoin(const std::string& address);
  void Rejoined(const v1::RejoinResponse& response);
  void Place(const v1::FormationPlan& plan, uint64_t replica, bool made);

  const FormationOptions options_;
  IdentityFile& identity_;
  UnaryClient& client_;
  Executor& control_;
  Random random_;
  const std::function<void()> placed_;
  const std::function<void(const absl::Status&)> failed_;
  std::map<uint64_t, Peer> peers_;
  // The newest incarnation that the first coordinator introduced itself with, in this process's
  // life: a plan of an older one, still on its way, must not be taken.
  uint64_t first_incarnation_ = 0;
  v1::FormationPlan foreign_plan_;  // formed without this incarnation: it has to rejoin
  uint64_t rejoin_at_ = 0;          // whom it asks next
  bool rejoining_ = false;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_FORMATION_H_
