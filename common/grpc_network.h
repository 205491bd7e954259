// The network over gRPC. Built on gRPC's completion queues with threads of its own, one queue a
// thread and one queue a call: so a call's events come one at a time without a lock, and no other
// user of gRPC in the process can hold them up (the callback API shares two threads process-wide).
//
// The only file of the project that includes gRPC: its headers cost seconds of every compilation.
#ifndef RINGLEADER_COMMON_GRPC_NETWORK_H_
#define RINGLEADER_COMMON_GRPC_NETWORK_H_

#include <cstdint>
#include <memory>

#include "common/network.h"

namespace ringleader {

struct GrpcNetworkOptions {
  // Threads for the calls that are started, in a process that does not listen; one that does has
  // its server's threads carry them.
  int client_threads = 1;
  int server_threads = 1;
  // An item of 400 KB with the copies that indexes need is past gRPC's default of 4 MiB.
  int message_bytes_max = 64 << 20;
  // How long a silent connection may be dead unnoticed: a ping after `keepalive_time`, and its
  // answer within `keepalive_timeout`, as long as the kernel waits for anything that it has sent
  // (TCP_USER_TIMEOUT; it would go on sending after as long a while as the path had been cut).
  // Servers accept pings twice as often as clients send them, or they would close connections for
  // pinging too much.
  Duration keepalive_time = std::chrono::seconds(10);
  Duration keepalive_timeout = std::chrono::seconds(2);
  // One attempt to connect, until the server's greeting: a path or a server that takes longer is
  // not reached. The kernel sends the first packet again after a second, so that is what a path
  // that comes back costs at most.
  Duration connect_timeout = std::chrono::seconds(2);
  // After a failed attempt to connect; grows by half up to the maximum.
  Duration reconnect_min = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::milliseconds(200);
};

// Destroying it cancels the calls it started and waits for their OnEnd; its Listeners are destroyed
// first.
std::unique_ptr<Network> NewGrpcNetwork(const GrpcNetworkOptions& options);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_GRPC_NETWORK_H_
