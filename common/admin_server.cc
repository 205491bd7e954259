#include "common/admin_server.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr absl::string_view kStarting = "The process is starting: it opens what it has stored.";
constexpr absl::string_view kPages = "There are /metrics, /healthz and /readyz.\n";

std::string Busy(absl::string_view thread, Duration owed) {
  return absl::StrCat("The thread '", thread, "' has been busy with one task for ",
                      std::chrono::duration_cast<std::chrono::seconds>(owed).count(), " s.");
}

HttpResponse Unavailable(absl::string_view why) {
  return {.status = 503, .body = absl::StrCat(why, "\n")};
}

}  // namespace

struct ExecutorProbe::State {
  Mutex mutex;
  bool waiting ABSL_GUARDED_BY(mutex) = false;
  Instant since ABSL_GUARDED_BY(mutex);
};

ExecutorProbe::ExecutorProbe(std::string name, Executor& executor, Clock& clock)
    : name_(std::move(name)),
      executor_(executor),
      clock_(clock),
      state_(std::make_shared<State>()) {}

Duration ExecutorProbe::Owed() {
  {
    MutexLock lock(state_->mutex);
    // The least that it may be: a machine that slept is not a process that hangs.
    if (state_->waiting) return WaiterElapsed(state_->since, clock_.Now());
    state_->waiting = true;
    state_->since = clock_.Now();
  }
  executor_.Post([state = state_] {
    MutexLock lock(state->mutex);
    state->waiting = false;
  });
  return Duration(0);
}

struct AdminServer::Attached {
  Attached(AdminHost the_host, Clock& the_clock)
      : host(std::move(the_host)), clock(the_clock), own("main", *host.executor, the_clock) {}

  const AdminHost host;
  Clock& clock;
  ExecutorProbe own;                                             // of host.executor
  std::map<std::string, std::unique_ptr<ExecutorProbe>> probes;  // on host.executor
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(absl::string_view address,
                                                                Clock& clock) {
  std::unique_ptr<AdminServer> admin(new AdminServer(clock));
  HttpServerOptions options;
  options.connections_max = 64;
  options.body_bytes_max = 4 << 10;
  options.memory_bytes_max = 1 << 20;
  options.drain_max = std::chrono::milliseconds(200);
  auto server =
      HttpServer::Start(address, options, [raw = admin.get()](HttpRequest request, HttpRespond go) {
        raw->Handle(request, std::move(go));
      });
  if (!server.ok()) return Annotate(server.status(), "--admin-listen");
  admin->server_ = *std::move(server);
  return admin;
}

AdminServer::~AdminServer() = default;

void AdminServer::Attach(AdminHost host) {
  CHECK(host.executor != nullptr && host.collect && host.missing && host.executors);
  MutexLock lock(mutex_);
  CHECK(attached_ == nullptr);
  attached_ = std::make_shared<Attached>(std::move(host), clock_);
}

std::shared_ptr<AdminServer::Attached> AdminServer::attached() const {
  MutexLock lock(mutex_);
  return attached_;
}

void AdminServer::Handle(const HttpRequest& request, HttpRespond respond) {
  if (request.method != "GET" && request.method != "HEAD") {
    return respond({.status = 405, .headers = {{"Allow", "GET, HEAD"}}, .body = "Only GET.\n"});
  }
  const absl::string_view path = request.path();
  if (path == "/metrics") return ServeOnHost(std::move(respond), MetricsPage);
  if (path == "/readyz") return ServeOnHost(std::move(respond), ReadyPage);
  if (path != "/healthz") return respond({.status = 404, .body = std::string(kPages)});
  // Opening may take its time: the process is alive while it does.
  if (attached() == nullptr) return respond({.body = "alive: starting\n"});
  ServeOnHost(std::move(respond), HealthPage);
}

void AdminServer::ServeOnHost(HttpRespond respond, HttpResponse (*page)(Attached&)) {
  const auto attached = this->attached();
  if (attached == nullptr) return respond(Unavailable(kStarting));
  if (const Duration owed = attached->own.Owed(); owed >= kStuckAfter) {
    return respond(Unavailable(Busy(attached->own.name(), owed)));
  }
  // Destroyed unrun, if the executor stops, the callback answers by itself.
  attached->host.executor->Post(
      [attached, page, respond = std::move(respond)]() mutable { respond(page(*attached)); });
}

HttpResponse AdminServer::MetricsPage(Attached& attached) {
  MetricSink sink;
  CollectProcess(sink);
  attached.host.collect(sink);
  return {.content_type = std::string(kMetricsContentType), .body = sink.Text()};
}

HttpResponse AdminServer::ReadyPage(Attached& attached) {
  const std::vector<std::string> missing = attached.host.missing();
  if (missing.empty()) return {.body = "ready\n"};
  return Unavailable(absl::StrJoin(missing, "\n"));
}

HttpResponse AdminServer::HealthPage(Attached& attached) {
  std::vector<std::string> stuck;
  for (const auto& [name, executor] : attached.host.executors()) {
    std::unique_ptr<ExecutorProbe>& probe = attached.probes[name];
    if (probe == nullptr) probe = std::make_unique<ExecutorProbe>(name, *executor, attached.clock);
    const Duration owed = probe->Owed();
    if (owed >= kStuckAfter) stuck.push_back(Busy(name, owed));
  }
  if (stuck.empty()) return {.body = "alive\n"};
  return Unavailable(absl::StrJoin(stuck, "\n"));
}

}  // namespace ringleader
