#include "tests/simulation/register_machine.h"

#include <utility>

#include "common/check.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "common/status.h"
#include "replication/configuration.h"

namespace ringleader::simulation {
namespace {

using replication::AppliedState;
using replication::Entry;
using replication::EntryKind;
using replication::Index;
using replication::Term;

constexpr absl::string_view kFile = "registers";
constexpr uint64_t kFormat = 1;
constexpr uint64_t kFileBytesMax = 64 << 20;

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccdu;
}

}  // namespace

std::string EncodeCommand(const RegisterCommand& command) {
  std::string bytes;
  PutFixed64(command.id, bytes);
  PutFixed64(command.key, bytes);
  PutFixed64(static_cast<uint64_t>(command.operation), bytes);
  PutFixed64(static_cast<uint64_t>(command.input), bytes);
  PutFixed64(static_cast<uint64_t>(command.expected), bytes);
  return bytes + command.padding;
}

absl::StatusOr<std::unique_ptr<RegisterMachine>> RegisterMachine::Open(
    FileSystem& file_system, replication::GroupId group, replication::ReplicaId replica,
    absl::string_view directory, const AppliedState& initial, const RegisterObserver& observer,
    OpenMachines& open) {
  std::unique_ptr<RegisterMachine> machine(
      new RegisterMachine(file_system, group, replica, directory, observer, open));
  machine->applied_ = initial;
  const std::string path = JoinPath(directory, kFile);
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (exists) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file_system, path, kFileBytesMax));
    RETURN_IF_ERROR(machine->Decode(bytes));
    // What is read may not be durable, if the sync of its directory failed. LevelDB writes a new
    // MANIFEST at every opening.
    RETURN_IF_ERROR(machine->Flush());
  }
  machine->durable_ = machine->applied_.last.index;
  open[group] = machine.get();
  return machine;
}

RegisterMachine::~RegisterMachine() {
  const auto found = open_.find(group_);
  if (found != open_.end() && found->second == this) open_.erase(found);
}

absl::Status RegisterMachine::Apply(absl::Span<const Entry> entries) {
  for (const Entry& entry : entries) RETURN_IF_ERROR(ApplyOne(entry));
  return absl::OkStatus();
}

absl::Status RegisterMachine::ApplyOne(const Entry& entry) {
  CHECK_EQ(entry.index, applied_.last.index + 1);
  const std::string empty;
  const std::string& payload = entry.payload == nullptr ? empty : *entry.payload;
  history_hash_ = Mix(history_hash_, entry.term);
  history_hash_ = Mix(history_hash_, static_cast<uint64_t>(entry.kind));
  history_hash_ = Mix(history_hash_, crc32c::Value(payload));
  if (entry.kind == EntryKind::kConfiguration) {
    ASSIGN_OR_RETURN(applied_.configuration, replication::DecodeConfiguration(payload));
    applied_.configuration_index = entry.index;
  } else if (entry.kind == EntryKind::kCommand) {
    Decoder decoder(payload);
    const uint64_t id = decoder.Fixed64();
    int64_t& value = registers_[decoder.Fixed64()];
    const auto operation = static_cast<RegisterOperation>(decoder.Fixed64());
    const auto input = static_cast<int64_t>(decoder.Fixed64());
    const auto expected = static_cast<int64_t>(decoder.Fixed64());
    if (!decoder.ok()) return absl::DataLossError("malformed command");
    int64_t output = 0;
    if (operation == RegisterOperation::kWrite) value = input;
    if (operation == RegisterOperation::kAdd) output = value += input;
    if (operation == RegisterOperation::kCompareAndSet && value == expected) {
      value = input;
      output = 1;
    }
    if (observer_.outcome) observer_.outcome(replica_, id, output);
  }
  applied_.last = {entry.term, entry.index};
  if (observer_.applied) observer_.applied(group_, replica_, entry, history_hash_);
  return absl::OkStatus();
}

int64_t RegisterMachine::Read(uint64_t key) const {
  const auto found = registers_.find(key);
  return found == registers_.end() ? 0 : found->second;
}

absl::Status RegisterMachine::Flush() {
  RETURN_IF_ERROR(ReplaceFile(file_system_, JoinPath(directory_, kFile), Encode()));
  durable_ = applied_.last.index;
  return absl::OkStatus();
}

absl::StatusOr<AppliedState> RegisterMachine::Capture(absl::string_view directory) {
  RETURN_IF_ERROR(ReplaceFile(file_system_, JoinPath(directory, kFile), Encode()));
  return applied_;
}

void RegisterMachine::LeadershipBegan(Term term) {
  if (observer_.leadership) observer_.leadership(group_, replica_, term, true);
}

void RegisterMachine::LeadershipEnded(Term term) {
  if (observer_.leadership) observer_.leadership(group_, replica_, term, false);
}

std::string RegisterMachine::Encode() const {
  std::string bytes;
  for (const uint64_t number :
       {kFormat, applied_.last.term, applied_.last.index, applied_.configuration_index,
        history_hash_, static_cast<uint64_t>(registers_.size())}) {
    PutFixed64(number, bytes);
  }
  for (const auto& [key, value] : registers_) {
    PutFixed64(key, bytes);
    PutFixed64(static_cast<uint64_t>(value), bytes);
  }
  PutLengthPrefixed(replication::EncodeConfiguration(applied_.configuration), bytes);
  PutFixed32(crc32c::Value(bytes), bytes);
  return bytes;
}

absl::Status RegisterMachine::Decode(absl::string_view bytes) {
  if (bytes.size() < 4 || crc32c::Value(bytes.substr(0, bytes.size() - 4)) !=
                              LoadFixed32(bytes.data() + bytes.size() - 4)) {
    return absl::DataLossError("the registers' file fails its checksum");
  }
  Decoder decoder(bytes.substr(0, bytes.size() - 4));
  if (decoder.Fixed64() != kFormat) return absl::FailedPreconditionError("unknown format");
  applied_.last.term = decoder.Fixed64();
  applied_.last.index = decoder.Fixed64();
  applied_.configuration_index = decoder.Fixed64();
  history_hash_ = decoder.Fixed64();
  const uint64_t count = decoder.Fixed64();
  for (uint64_t i = 0; i < count && decoder.ok(); ++i) {
    const uint64_t key = decoder.Fixed64();
    registers_[key] = static_cast<int64_t>(decoder.Fixed64());
  }
  const absl::string_view configuration = decoder.LengthPrefixed();
  // One that was flushed before it had applied anything has no members.
  if (applied_.last.index > 0) {
    ASSIGN_OR_RETURN(applied_.configuration, replication::DecodeConfiguration(configuration));
  }
  return decoder.AtEnd() ? absl::OkStatus() : absl::DataLossError("malformed registers' file");
}

}  // namespace ringleader::simulation
