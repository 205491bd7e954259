// The admin pages that every process serves over HTTP (DESIGN section 3):
//
//   /metrics   for Prometheus
//   /healthz   200 while the process's executors take tasks; 503 names those that are stuck
//   /readyz    200 while it serves what it is there for; 503 says in sentences what is missing
//
// It starts before the process opens its data, so that a taken port stops the start and nothing
// else, and says so on its pages until it is attached. Pages are built on the host's executor, so
// that what it reads needs no lock; a host whose executor is stuck is answered for.
//
// Threads: Attach is called once, by the owner, who destroys the server before the host's
// executors; what the host's functions use lives until host.executor is stopped. The rest is
// internal.
#ifndef RINGLEADER_COMMON_ADMIN_SERVER_H_
#define RINGLEADER_COMMON_ADMIN_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/http_server.h"
#include "common/metrics.h"
#include "common/mutex.h"

namespace ringleader {

// Whether an executor takes tasks, found out by posting one: asked now and then, it keeps one task
// waiting at a time. Thread-safe; the executor outlives it, or is stopped by then.
class ExecutorProbe {
 public:
  ExecutorProbe(std::string name, Executor& executor, Clock& clock);

  // For how long the executor has owed an answer; posts the next task if it owes none.
  Duration Owed();
  const std::string& name() const { return name_; }

 private:
  struct State;
  const std::string name_;
  Executor& executor_;
  Clock& clock_;
  const std::shared_ptr<State> state_;
};

struct AdminHost {
  Executor* executor = nullptr;  // on which the functions are called
  std::function<void(MetricSink&)> collect;
  // What is missing for serving, a sentence each; empty: nothing.
  std::function<std::vector<std::string>()> missing;
  // All whose standstill means that the process is not alive, by name. May grow; whoever is in it
  // stays until `executor` is stopped.
  std::function<std::vector<std::pair<std::string, Executor*>>()> executors;
};

class AdminServer {
 public:
  // How long an executor may be busy with one task: disks may stall for seconds.
  static constexpr Duration kStuckAfter = std::chrono::seconds(10);

  // Errors as HttpServer::Start.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(absl::string_view address,
                                                            Clock& clock);
  ~AdminServer();

  void Attach(AdminHost host);

  int port() const { return server_->port(); }

 private:
  struct Attached;

  explicit AdminServer(Clock& clock) : clock_(clock) {}
  void Handle(const HttpRequest& request, HttpRespond respond);
  void ServeOnHost(HttpRespond respond, HttpResponse (*page)(Attached&));
  static HttpResponse MetricsPage(Attached& attached);
  static HttpResponse ReadyPage(Attached& attached);
  static HttpResponse HealthPage(Attached& attached);
  std::shared_ptr<Attached> attached() const;

  Clock& clock_;
  mutable Mutex mutex_;
  std::shared_ptr<Attached> attached_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_ADMIN_SERVER_H_
