#include "common/metrics.h"

#include <dirent.h>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "common/build_info.h"
#include "common/check.h"
#include "common/clock.h"

namespace ringleader {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Named values are Prometheus' own types, so that its serializer writes them.
struct MetricSink::Families : prometheus::Collectable {
  std::map<std::string, MetricFamily> by_name;

  ClientMetric& Add(absl::string_view name, absl::string_view help, MetricType type,
                    const MetricLabels& labels) {
    MetricFamily& family = by_name[std::string(name)];
    if (family.name.empty()) family = {std::string(name), std::string(help), type, {}};
    CHECK(family.type == type) << name << " is of two types";
    ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [label, value] : labels) metric.label.push_back({label, value});
    return metric;
  }

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    for (const auto& [name, family] : by_name) families.push_back(family);
    return families;
  }
};

MetricSink::MetricSink() : families_(std::make_unique<Families>()) {}
MetricSink::~MetricSink() = default;

void MetricSink::Gauge(absl::string_view name, absl::string_view help, double value,
                       const MetricLabels& labels) {
  families_->Add(name, help, MetricType::Gauge, labels).gauge.value = value;
}

void MetricSink::Counter(absl::string_view name, absl::string_view help, double value,
                         const MetricLabels& labels) {
  families_->Add(name, help, MetricType::Counter, labels).counter.value = value;
}

void MetricSink::Histogram(absl::string_view name, absl::string_view help,
                           const StripedHistogram& histogram, double unit,
                           const MetricLabels& labels) {
  const HistogramReading reading = histogram.Read();
  ClientMetric::Histogram& out =
      families_->Add(name, help, MetricType::Histogram, labels).histogram;
  for (size_t i = 0; i < reading.bounds.size(); ++i) {
    out.sample_count += reading.counts[i];
    out.bucket.push_back({out.sample_count, static_cast<double>(reading.bounds[i]) * unit});
  }
  out.sample_count += reading.counts.back();
  out.sample_sum = static_cast<double>(reading.sum) * unit;
}

std::string MetricSink::Text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_->Collect());
  return out.str();
}

namespace {

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double OpenDescriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries - 3;  // ".", ".." and the directory itself
}

// Total and resident pages, or nothing.
std::pair<double, double> MemoryBytes() {
  double total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {total * page, resident * page};
}

// When the process began, by the time of day as it is now: the field is in ticks since boot.
double StartTime() {
  std::ifstream file("/proc/self/stat");
  std::string stat{std::istreambuf_iterator<char>(file), {}};
  // The program's name, in parentheses, may hold anything.
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  fields >> ticks;
  const Clock& clock = SystemClock();
  const double boot = static_cast<double>(clock.WallMicros()) * 1e-6 -
                      std::chrono::duration<double>(clock.Now().boot).count();
  return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

void CollectProcess(MetricSink& sink) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto [virtual_bytes, resident_bytes] = MemoryBytes();
  static const double start_time = StartTime();
  sink.Counter("process_cpu_seconds_total", "User and system CPU time spent, in seconds.",
               SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime));
  sink.Gauge("process_resident_memory_bytes", "Resident memory size.", resident_bytes);
  sink.Gauge("process_virtual_memory_bytes", "Virtual memory size.", virtual_bytes);
  sink.Gauge("process_open_fds", "Open file descriptors.", OpenDescriptors());
  sink.Gauge("process_max_fds", "Most file descriptors that may be open.",
             static_cast<double>(limit.rlim_cur));
  sink.Gauge("process_start_time_seconds", "Start of the process, seconds since 1970.", start_time);
  sink.Gauge(
      "ringleader_build_info", "1; the labels name the build.", 1,
      {{"version", std::string(BuildVersion())}, {"revision", std::string(BuildRevision())}});
}

}  // namespace ringleader
