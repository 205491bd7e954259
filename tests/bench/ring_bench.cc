// ring-bench: a load generator for Ringleader, and for etcd over etcd's own protocol, so that both
// can be measured by the same program in the same run (tests/bench/compare). Prints a table, or one
// JSON object with --output json.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/options.h"
#include "tests/bench/load.h"

namespace ringleader::bench {
namespace {

// A cache of which so much is taken is full: an entry that comes makes room for itself, in its
// shard.
constexpr double kFull = 0.98;

struct Settings {
  std::string target = "ringleader";
  std::vector<std::string> endpoints = {"127.0.0.1:7000"};
  std::string table = "bench";
  std::string route = "auto";
  bool eventual = false;
  int64_t cache_bytes = 0;
  bool waits = false;
  std::string mix = "put=1";
  int64_t keys = 100000;
  int64_t value_bytes = 100;
  double zipf = 0;
  bool load = false;
  int64_t connections = 1;
  int64_t outstanding = 256;
  double rate = 0;
  int64_t warm_up_s = 2;
  bool warm_up_settles = false;
  int64_t seconds = 10;
  int64_t seed = 1;
  std::vector<std::string> server_pids;
  std::string output = "table";
};

void Define(OptionSet& options, Settings& settings) {
  options.AddChoice({.name = "target", .help = "What is measured."}, {"ringleader", "etcd"},
                    &settings.target);
  options.Add(
      {.name = "endpoints", .help = "host:port of each coordinator, or of each etcd member."},
      &settings.endpoints);
  options.Add({.name = "table", .help = "Table to use; made if it is not there."}, &settings.table);
  options.AddChoice({.name = "route", .help = "How requests reach the data."},
                    {"auto", "direct", "coordinators"}, &settings.route);
  options.Add({.name = "eventual", .help = "Reads need not be linearizable."}, &settings.eventual);
  options.Add({.name = "cache",
               .unit = "bytes",
               .help = "Memory of each client's cache; 0: none. Ringleader only."},
              0, int64_t{1} << 40, &settings.cache_bytes);
  options.Add({.name = "waits",
               .help = "A thread for each outstanding request waits for its answer, as Client::Get "
                       "does; only so a read from memory costs no more than that. Closed loop."},
              &settings.waits);
  options.Add({.name = "mix", .help = "Weights of put, get, update and delete, as in put=1,get=9."},
              &settings.mix);
  options.Add({.name = "keys", .help = "How many different keys."}, 1, 1000000000, &settings.keys);
  options.Add({.name = "value", .unit = "bytes", .help = "Size of each value."}, 0, 390000,
              &settings.value_bytes);
  options.Add({.name = "zipf", .help = "Exponent of the keys' distribution; 0: uniform."}, 0, 0.999,
              &settings.zipf);
  options.Add({.name = "load", .help = "Put every key once before measuring."}, &settings.load);
  options.Add({.name = "connections", .help = "Clients, each with connections of its own."}, 1,
              1000, &settings.connections);
  options.Add({.name = "outstanding", .help = "Requests under way at once, over all clients."}, 1,
              1000000, &settings.outstanding);
  options.Add(
      {.name = "rate", .help = "Requests a second, whether answers come or not; 0: closed loop."},
      0, 1e8, &settings.rate);
  options.Add({.name = "warm-up", .unit = "s", .help = "Before what is measured."}, 0, 3600,
              &settings.warm_up_s);
  options.Add({.name = "warm-up-settles",
               .help = "Closed loop: measuring begins as soon as the clients' caches are full and "
                       "answer no larger share of the reads any more, after --warm-up at the "
                       "latest."},
              &settings.warm_up_settles);
  options.Add({.name = "seconds", .help = "How long to measure."}, 1, 86400, &settings.seconds);
  options.Add({.name = "seed", .help = "Of keys and operations."}, 0, 1 << 30, &settings.seed);
  options.Add(
      {.name = "server-pids", .help = "Processes whose CPU time is reported beside our own."},
      &settings.server_pids);
  options.AddChoice({.name = "output", .help = "How to print the result."}, {"table", "json"},
                    &settings.output);
}

double Micros(Duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

std::string Quoted(absl::string_view text) {
  std::string plain;
  for (const char c : text) plain.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  return absl::StrCat("\"", absl::StrReplaceAll(plain, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

void PrintJson(const Settings& settings, const LoadReport& report) {
  std::string kinds;
  for (size_t i = 0; i < kOperationKinds; ++i) {
    const auto& [latency, not_found] = report.kinds[i];
    if (latency.count() == 0) continue;
    absl::StrAppendFormat(
        &kinds,
        "%s%s: {\"count\": %d, \"per_second\": %.1f, \"not_found\": %d, \"mean_us\": %.1f, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99_9_us\": %.1f, \"max_us\": %.1f}",
        kinds.empty() ? "" : ", ", Quoted(NameOf(static_cast<OperationKind>(i))), latency.count(),
        static_cast<double>(latency.count()) / report.seconds, not_found, Micros(latency.Mean()),
        Micros(latency.Quantile(0.5)), Micros(latency.Quantile(0.99)),
        Micros(latency.Quantile(0.999)), Micros(latency.max()));
  }
  std::string errors;
  for (const auto& [text, count] : report.errors) {
    absl::StrAppend(&errors, errors.empty() ? "" : ", ", Quoted(text), ": ", count);
  }
  absl::PrintF(
      "{\"target\": %s, \"seconds\": %.3f, \"connections\": %d, \"outstanding\": %d, \"rate\": "
      "%.0f, \"warm_up_seconds\": %.1f, "
      "\"operations\": {%s}, \"failed\": %d, \"missed\": %d, \"errors\": {%s}, "
      "\"cache_hits\": %d, \"cache_misses\": %d, \"cache_joined\": %d, \"cache_expired\": %d, "
      "\"cache_inserted\": %d, \"cache_refused\": %d, "
      "\"cache_invalidated\": %d, \"cache_evicted\": %d, \"cache_entries\": %d, \"cache_bytes\": "
      "%d, "
      "\"longest_gap_ms\": %.1f, \"own_cpu_seconds\": %.2f, \"server_cpu_seconds\": %.2f}\n",
      Quoted(settings.target), report.seconds, settings.connections, settings.outstanding,
      settings.rate, report.warm_up_seconds, kinds, report.failed, report.missed, errors,
      report.cache.hits, report.cache.misses, report.cache.joined, report.cache.expired,
      report.cache.inserted, report.cache.refused, report.cache.invalidated, report.cache.evicted,
      report.cache.entries, report.cache.bytes, Micros(report.longest_gap) / 1000,
      report.own_cpu_seconds, report.server_cpu_seconds);
}

void PrintTable(const LoadReport& report) {
  absl::PrintF("%-8s %12s %12s %10s %10s %10s %10s\n", "", "count", "per second", "p50 us",
               "p99 us", "p99.9 us", "max us");
  for (size_t i = 0; i < kOperationKinds; ++i) {
    const LatencyHistogram& latency = report.kinds[i].latency;
    if (latency.count() == 0) continue;
    absl::PrintF("%-8s %12d %12.0f %10.0f %10.0f %10.0f %10.0f\n",
                 NameOf(static_cast<OperationKind>(i)), latency.count(),
                 static_cast<double>(latency.count()) / report.seconds,
                 Micros(latency.Quantile(0.5)), Micros(latency.Quantile(0.99)),
                 Micros(latency.Quantile(0.999)), Micros(latency.max()));
  }
  absl::PrintF("%d failed, %d missed; longest gap %.1f ms; CPU: %.2f s ours", report.failed,
               report.missed, Micros(report.longest_gap) / 1000, report.own_cpu_seconds);
  if (report.server_cpu_seconds > 0) absl::PrintF(", %.2f s theirs", report.server_cpu_seconds);
  absl::PrintF(" of %.2f s\n", report.seconds);
  if (const uint64_t reads = report.cache.hits + report.cache.misses; reads > 0) {
    absl::PrintF("%.1f%% of reads answered from the clients' memory\n",
                 100.0 * static_cast<double>(report.cache.hits) / static_cast<double>(reads));
  }
  for (const auto& [text, count] : report.errors) absl::PrintF("  %d x %s\n", count, text);
}

int Refuse(absl::string_view why) {
  absl::FPrintF(stderr, "ring-bench: %s\n", why);
  return 1;
}

absl::StatusOr<LoadOptions> LoadOptionsOf(const Settings& settings) {
  LoadOptions load;
  const absl::StatusOr<Mix> mix = ParseMix(settings.mix);
  if (!mix.ok()) return absl::InvalidArgumentError(absl::StrCat("--mix: ", mix.status().message()));
  load.workload.mix = *mix;
  load.workload.keys = static_cast<uint64_t>(settings.keys);
  load.workload.value_bytes = static_cast<uint64_t>(settings.value_bytes);
  load.workload.zipf = settings.zipf;
  load.outstanding = static_cast<uint64_t>(settings.outstanding);
  load.rate = settings.rate;
  load.waits = settings.waits;
  if (load.waits && load.rate > 0) {
    return absl::InvalidArgumentError("--waits is a closed loop: it has no --rate");
  }
  load.warm_up = std::chrono::seconds(settings.warm_up_s);
  if (settings.warm_up_settles && (load.rate > 0 || settings.cache_bytes == 0)) {
    return absl::InvalidArgumentError("--warm-up-settles is for a closed loop with --cache");
  }
  if (settings.warm_up_settles) {
    const double bytes = kFull * static_cast<double>(settings.cache_bytes * settings.connections);
    load.warm_up_bytes = static_cast<uint64_t>(bytes);
  }
  load.duration = std::chrono::seconds(settings.seconds);
  load.seed = static_cast<uint64_t>(settings.seed);
  for (const std::string& text : settings.server_pids) {
    int pid = 0;
    if (!absl::SimpleAtoi(text, &pid)) {
      return absl::InvalidArgumentError(absl::StrCat("--server-pids: '", text, "' is no number"));
    }
    load.server_pids.push_back(pid);
  }
  return load;
}

int Main(int argc, char** argv) {
  Settings settings;
  OptionSet options("ring-bench", "Measures a Ringleader cluster, or an etcd one, under load.");
  Define(options, settings);
  ParseOrExit(options, argc, argv);
  const absl::StatusOr<LoadOptions> load = LoadOptionsOf(settings);
  if (!load.ok()) return Refuse(load.status().message());
  std::vector<std::unique_ptr<Target>> clients;
  for (int i = 0; i < settings.connections; ++i) {
    const TargetOptions target{settings.endpoints,
                               settings.table,
                               settings.route,
                               settings.eventual,
                               static_cast<uint64_t>(settings.cache_bytes),
                               i};
    auto client = settings.target == "etcd" ? NewEtcdTarget(target) : NewRingleaderTarget(target);
    if (!client.ok()) return Refuse(client.status().message());
    clients.push_back(*std::move(client));
  }
  if (settings.load) {
    const absl::Status loaded = LoadKeys(clients, *load);
    if (!loaded.ok()) return Refuse(absl::StrCat("loading: ", loaded.message()));
  }
  const LoadReport report = RunLoad(clients, *load);
  settings.output == "json" ? PrintJson(settings, report) : PrintTable(report);
  return report.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ringleader::bench

int main(int argc, char** argv) { return ringleader::bench::Main(argc, argv); }
