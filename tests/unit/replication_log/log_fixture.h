// What the tests of the log share: small options, entries, and an in-memory model of what a log
// must hold.
#ifndef RINGLEADER_TESTS_UNIT_REPLICATION_LOG_LOG_FIXTURE_H_
#define RINGLEADER_TESTS_UNIT_REPLICATION_LOG_LOG_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/random.h"
#include "replication/log.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader::replication {

inline LogOptions SmallOptions() {
  LogOptions options;
  options.cluster = 77;
  options.node = 5;
  options.segment_bytes = 128 << 10;
  options.batch_bytes_max = 64 << 10;
  options.reserve_bytes = 16 << 10;
  options.log_bytes_target = 512 << 10;
  options.entropy = 99;
  return options;
}

inline Entry MakeEntry(Term term, Index index, std::string payload) {
  Payload shared;
  if (!payload.empty()) shared = std::make_shared<const std::string>(std::move(payload));
  return {term, index, EntryKind::kCommand, std::move(shared)};
}

inline std::string Text(const Entry& entry) {
  return entry.payload == nullptr ? std::string() : *entry.payload;
}

inline GroupWrite Creation(GroupId group, ReplicaId replica) {
  GroupWrite write;
  write.group = group;
  write.create = GroupCreation{replica, "plan " + std::to_string(group)};
  return write;
}

inline GroupWrite Append(GroupId group, std::vector<Entry> entries) {
  GroupWrite write;
  write.group = group;
  write.entries = std::move(entries);
  return write;
}

// One group as it must be.
struct ModelGroup {
  GroupCreation creation;
  bool destroyed = false;
  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;
  LogPosition compacted;
  std::map<Index, std::pair<Term, std::string>> entries;

  Index last() const { return entries.empty() ? compacted.index : entries.rbegin()->first; }
  Term TermAt(Index index) const {
    return index == compacted.index ? compacted.term : entries.at(index).first;
  }
  LogPosition promised() const { return {TermAt(last()), last()}; }
  friend bool operator==(const ModelGroup&, const ModelGroup&) = default;
};

using Model = std::map<GroupId, ModelGroup>;

void ApplyToModel(const GroupWrite& write, Model& model);

// A batch of random writes that fit the model, which is changed by them.
std::vector<GroupWrite> RandomBatch(Random& random, Model& model);

// "" if the log holds exactly what the model says, else the first difference. Entries with
// `damage_allowed` may be damaged, with the right term; content that is returned is always right.
std::string Difference(const Log& log, const Model& model, bool damage_allowed);

}  // namespace ringleader::replication

#endif  // RINGLEADER_TESTS_UNIT_REPLICATION_LOG_LOG_FIXTURE_H_
