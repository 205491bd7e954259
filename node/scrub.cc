#include "node/scrub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "node/partition.h"

namespace ringleader {
namespace {

using replication::GroupId;
using replication::LogScrub;
using replication::Replica;

// A pass of what is little, and the pause where a disk fails.
constexpr Duration kPauseMin = std::chrono::seconds(1);

bool IsOnlyVoter(const replication::Configuration& members) {
  return members.voters.size() < 2 && !members.joint();
}

}  // namespace

Scrub::Scrub(const ScrubOptions& options, const StorePlace& place, replication::Runtime& runtime,
             Registry& registry, Executor& executor)
    : options_(options),
      place_(place),
      runtime_(runtime),
      registry_(registry),
      executor_(executor) {
  CHECK_GT(options_.bytes_per_second_max, 0u);
}

void Scrub::Start() {
  if (options_.period <= Duration(0)) return;
  executor_.PostAfter(options_.first_pass_after, [this] { BeginPass(); });
}

void Scrub::After(uint64_t bytes, Task next) {
  const std::chrono::duration<double> pause(static_cast<double>(bytes) /
                                            static_cast<double>(options_.bytes_per_second_max));
  executor_.PostAfter(std::chrono::duration_cast<Duration>(pause), std::move(next));
}

void Scrub::BeginPass() {
  pass_began_ = place_.clock.Now();
  ReadSegment(0);
}

void Scrub::EndPass() {
  ++passes_;
  last_pass_us_ = place_.clock.WallMicros();
  const Duration took = WaiterElapsed(pass_began_, place_.clock.Now());
  executor_.PostAfter(std::max(options_.period - took, kPauseMin), [this] { BeginPass(); });
}

// --- The log ------------------------------------------------------------------------------------

void Scrub::ReadSegment(uint64_t after) {
  const absl::StatusOr<LogScrub> read = runtime_.ScrubLog(after);
  if (!read.ok()) {
    LogWarning("scrub: the log can't be read: ", read.status().ToString());
    executor_.PostAfter(kPauseMin, [this] { ListDatabases(); });
    return;
  }
  if (read->segment == 0) return ListDatabases();
  log_bytes_.Add(read->bytes);
  if (read->bad_blocks + read->bad_entries > 0) MendLog(*read);
  After(read->bytes, [this, segment = read->segment] { ReadSegment(segment); });
}

void Scrub::MendLog(const LogScrub& found) {
  bad_blocks_.Add(found.bad_blocks);
  bad_entries_.Add(found.bad_entries);
  LogError("scrub: segment ", found.segment, " of the log has ", found.bad_blocks,
           " bad blocks, and ", found.bad_entries,
           " entries of it can't be read; it is written anew");
  for (const GroupId group : found.groups) {
    if (mending_.insert(group).second) FlushAway(group);
  }
}

void Scrub::FlushAway(GroupId group) {
  if (const auto replica = runtime_.Find(group)) replica->FlushAndCompact();
  executor_.PostAfter(options_.flush_within, [this, group] { CheckMended(group); });
}

// What is applied and not flushed yet, on a full disk for one, is in memory only: opened again, the
// replica would look for it in the log, and its peers may be away. And nobody else has what an only
// voter has.
void Scrub::CheckMended(GroupId group) {
  const auto state = runtime_.log().Group(group);
  const auto replica = runtime_.Find(group);
  if (!state.has_value() || state->destroyed || state->damage.empty() || replica == nullptr) {
    mending_.erase(group);
    return;
  }
  const replication::ReplicaView view = replica->view();
  const bool is_applied = state->damage.back().last <= view.applied;
  if (is_applied || IsOnlyVoter(view.configuration)) return FlushAway(group);
  mending_.erase(group);
  runtime_.ReopenReplica(
      group, state->creation.replica,
      absl::DataLossError(absl::StrCat("the scrub found that log entry ",
                                       state->damage.front().first, " can't be read")));
}

// --- Databases ----------------------------------------------------------------------------------

void Scrub::ListDatabases() {
  for (auto& replica : runtime_.Replicas()) replicas_.push_back(std::move(replica));
  ListFiles();
}

// One replica's at a time: files come and go.
void Scrub::ListFiles() {
  if (replicas_.empty()) return EndPass();
  const std::shared_ptr<Replica> replica = std::move(replicas_.front());
  replicas_.pop_front();
  replica->applier().Post([this, replica] {
    std::vector<std::string> files;
    if (const Partition* partition = registry_.Open(replica->group())) {
      files = partition->LiveFiles();
    }
    executor_.Post([this, replica, files = std::move(files)]() mutable {
      for (std::string& path : files) files_.push_back({replica, std::move(path)});
      ReadFile();
    });
  });
}

void Scrub::ReadFile() {
  if (files_.empty()) return ListFiles();
  const File file = std::move(files_.front());
  files_.pop_front();
  const absl::StatusOr<uint64_t> bytes = place_.file_system.FileSize(file.path);
  if (!bytes.ok()) return After(0, [this] { ReadFile(); });  // compacted meanwhile
  table_bytes_.Add(*bytes);
  const absl::Status status = CheckStoreFile(place_, file.path);
  if (absl::IsDataLoss(status)) {
    IfStillBad(file, [this, file](const absl::Status& why) { Report(file, why); });
  }
  After(*bytes, [this] { ReadFile(); });
}

// A file that the database has let go since may be anything; and one read that failed says little.
void Scrub::IfStillBad(const File& file, std::function<void(const absl::Status& why)> then) {
  file.replica->applier().Post([this, file, then = std::move(then)] {
    const GroupId group = file.replica->group();
    const Partition* const partition = registry_.Open(group);
    if (partition == nullptr) return;
    const std::vector<std::string> files = partition->LiveFiles();
    const bool is_live = std::find(files.begin(), files.end(), file.path) != files.end();
    executor_.Post([this, file, then, group, is_live] {
      const absl::Status why = is_live ? CheckStoreFile(place_, file.path) : absl::OkStatus();
      if (absl::IsDataLoss(why)) return then(why);
      if (registry_.BadFileOf(group) == file.path) registry_.SetBadFile(group, "");
    });
  });
}

// Whoever sees all replicas decides: what this one still holds may be all that its group has at
// the moment.
void Scrub::Report(const File& file, const absl::Status& why) {
  bad_files_.Add();
  LogError("scrub: ", why.ToString());
  registry_.SetBadFile(file.replica->group(), file.path);
}

void Scrub::Rebuild(GroupId group, replication::ReplicaId id, const std::string& bad_file) {
  executor_.Post([this, group, id, bad_file] {
    const std::shared_ptr<Replica> replica = runtime_.Find(group);
    if (replica == nullptr || replica->id() != id || registry_.BadFileOf(group) != bad_file ||
        IsOnlyVoter(replica->view().configuration)) {
      return;
    }
    IfStillBad({replica, bad_file}, [this, group, id](const absl::Status& why) {
      runtime_.RebuildReplica(group, id,
                              absl::DataLossError(absl::StrCat("the scrub found ", why.message())));
    });
  });
}

// --- What it says -------------------------------------------------------------------------------

uint64_t Scrub::problems() const {
  return bad_blocks_.value() + bad_entries_.value() + bad_files_.value();
}

void Scrub::Collect(MetricSink& sink) const {
  const absl::string_view bytes = "Bytes that the scrub has read back.";
  sink.Counter("ringleader_scrub_bytes_total", bytes, log_bytes_, {{"of", "log"}});
  sink.Counter("ringleader_scrub_bytes_total", bytes, table_bytes_, {{"of", "tables"}});
  const absl::string_view problems =
      "What the scrub found bad, of the log (block, entry) and of databases (file). Each is "
      "mended.";
  sink.Counter("ringleader_scrub_problems_total", problems, bad_blocks_, {{"what", "block"}});
  sink.Counter("ringleader_scrub_problems_total", problems, bad_entries_, {{"what", "entry"}});
  sink.Counter("ringleader_scrub_problems_total", problems, bad_files_, {{"what", "file"}});
  sink.Counter("ringleader_scrub_passes_total", "Times that the scrub has read everything.",
               static_cast<double>(passes_.load()));
  sink.Gauge("ringleader_scrub_last_pass_timestamp_seconds",
             "When the scrub last had read everything, since 1970; 0: not since the start.",
             static_cast<double>(last_pass_us_.load()) / 1e6);
}

}  // namespace ringleader
