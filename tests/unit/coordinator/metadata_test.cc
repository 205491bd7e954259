#include "coordinator/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "coordinator/metadata_machine.h"
#include "coordinator/metadata_members.h"
#include "coordinator/sealed_file.h"
#include "replication/configuration.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader::coordinator {
namespace {

using replication::AppliedState;
using replication::Entry;
using replication::EntryKind;

v1::FormationPlan SmallPlan() {
  v1::FormationPlan plan;
  plan.set_formation(77);
  for (const uint64_t incarnation : {11, 12, 13}) plan.add_incarnations(incarnation);
  plan.set_partitions(2);
  plan.set_replicas(1);
  return plan;
}

v1::Command Found() {
  v1::Command command;
  *command.mutable_found_cluster() = SmallPlan();
  return command;
}

v1::Command Register(uint64_t incarnation, const std::string& address, uint64_t formation = 0) {
  v1::Command command;
  command.mutable_register_node()->set_incarnation(incarnation);
  command.mutable_register_node()->set_address(address);
  command.mutable_register_node()->set_formation(formation);
  return command;
}

v1::Command Form(const std::vector<uint64_t>& nodes) {
  v1::Command command;
  for (const uint64_t node : nodes) {
    command.mutable_form_partitions()->add_partitions()->add_nodes(node);
  }
  return command;
}

v1::Command Report(uint64_t partition, uint64_t leader, uint64_t term, uint64_t version,
                   const std::vector<v1::Replica>& members) {
  v1::Command command;
  v1::RecordReport& report = *command.mutable_record_report();
  report.set_partition(partition);
  report.set_leader_node(leader);
  report.set_term(term);
  report.set_configuration_version(version);
  for (const v1::Replica& member : members) *report.add_members() = member;
  return command;
}

v1::Replica Voter(uint64_t id, uint64_t node) {
  v1::Replica replica;
  replica.set_id(id);
  replica.set_node(node);
  replica.set_voter(true);
  return replica;
}

v1::Command Plan(uint64_t version, uint64_t to, uint64_t remove) {
  v1::Command command;
  command.mutable_plan_move()->set_partition(1);
  command.mutable_plan_move()->set_expected_plan_version(version);
  command.mutable_plan_move()->set_add_node(to);
  command.mutable_plan_move()->set_remove_replica(remove);
  return command;
}

v1::EndMove EndOf(uint64_t version) {
  v1::EndMove end;
  end.set_partition(1);
  end.set_expected_plan_version(version);
  return end;
}

v1::Command CreateTable(const std::string& name) {
  v1::Command command;
  command.mutable_create_table()->set_name(name);
  command.mutable_create_table()->mutable_schema()->mutable_partition_key()->set_name("k");
  return command;
}

v1::Command EndTable(bool gone, uint64_t table, uint64_t version) {
  v1::Command command;
  v1::EndTableStep& step = gone ? *command.mutable_table_gone() : *command.mutable_table_active();
  step.set_table(table);
  step.set_schema_version(version);
  return command;
}

// Three nodes, two partitions of one replica: 1 on node 1, 2 on node 2.
Metadata SmallCluster() {
  Metadata metadata;
  EXPECT_TRUE(metadata.Apply(Found()).ok());
  for (uint64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(metadata.Apply(Register(100 + i, absl::StrCat("n", i))).id, i);
  }
  EXPECT_TRUE(metadata.Apply(Form({1, 2})).ok());
  return metadata;
}

TEST(Metadata, FoundsOnce) {
  // Protects: no second plan replaces the one that the cluster was formed by.
  Metadata metadata;
  EXPECT_EQ(metadata.Apply(Register(1, "a")).error, v1::ERROR_UNAVAILABLE);
  EXPECT_TRUE(metadata.Apply(Found()).ok());
  EXPECT_TRUE(metadata.Apply(Found()).ok());  // the same one again
  v1::Command other = Found();
  other.mutable_found_cluster()->set_formation(78);
  EXPECT_EQ(metadata.Apply(other).error, v1::ERROR_CONFLICT);
  EXPECT_EQ(metadata.plan().formation(), 77u);
}

TEST(Metadata, RegistrationIsIdempotentByIncarnation) {
  // Protects: a node keeps its id over restarts and addresses; a wiped disk gets a new one, and the
  // old node at that address is dead at once; a node of another cluster is refused.
  Metadata metadata;
  metadata.Apply(Found());
  EXPECT_EQ(metadata.Apply(Register(5, "a")).id, 1u);
  EXPECT_EQ(metadata.Apply(Register(5, "b", 77)).id, 1u);
  EXPECT_EQ(metadata.Apply(Register(6, "b")).id, 2u);
  EXPECT_FALSE(metadata.FindNode(1)->node().alive());
  EXPECT_TRUE(metadata.FindNode(2)->node().alive());
  EXPECT_EQ(metadata.Apply(Register(7, "c", 99)).error, v1::ERROR_CONFLICT);
  EXPECT_EQ(metadata.Apply(Register(8, "d", 77)).error, v1::ERROR_CONFLICT);
  EXPECT_EQ(metadata.nodes().size(), 2u);
}

TEST(Metadata, PartitionsCoverTheTokenSpace) {
  // Protects: every token belongs to exactly one partition, and partitions are formed once.
  Metadata metadata = SmallCluster();
  EXPECT_EQ(metadata.Apply(Form({1, 2})).error, v1::ERROR_CONFLICT);
  uint64_t next = 0;
  for (const auto& [id, record] : metadata.partitions()) {
    EXPECT_EQ(record.partition().first_token(), next);
    next = record.partition().last_token() + 1;
  }
  EXPECT_EQ(next, 0u);
}

TEST(Metadata, OlderReportsAndPlansChangeNothing) {
  // Protects: rule 20: a plan or report that was made for an older version never wins.
  Metadata metadata = SmallCluster();
  EXPECT_TRUE(metadata.Apply(Report(1, 1, 5, 3, {Voter(1, 1)})).ok());
  EXPECT_EQ(metadata.Apply(Report(1, 2, 4, 2, {Voter(9, 2)})).error, v1::ERROR_CONFLICT);
  EXPECT_EQ(metadata.Apply(Report(1, 2, 5, 3, {Voter(9, 2)})).error, v1::ERROR_CONFLICT);
  const v1::PartitionRecord& record = metadata.partitions().at(1);
  EXPECT_EQ(record.partition().leader_node(), 1u);
  EXPECT_EQ(record.partition().epoch(), 3u);
  EXPECT_EQ(metadata.Apply(Plan(0, 3, 1)).error, v1::ERROR_CONFLICT);
  EXPECT_TRUE(metadata.Apply(Plan(1, 3, 1)).ok());
  EXPECT_EQ(metadata.Apply(Plan(1, 2, 1)).error, v1::ERROR_CONFLICT);  // already planned
  EXPECT_EQ(metadata.Apply(Plan(2, 2, 1)).error, v1::ERROR_CONFLICT);  // one at a time
}

TEST(Metadata, AMoveEndsOnlyWhenTheGroupShowsIt) {
  // Protects: the wish changes after the group did, so that no member is ever outside wish and move
  // (and could be destroyed).
  Metadata metadata = SmallCluster();
  const uint64_t added = metadata.Apply(Plan(1, 3, 1)).id;
  EXPECT_EQ(added, 3u);
  v1::Command finish;
  *finish.mutable_finish_move() = EndOf(2);
  EXPECT_EQ(metadata.Apply(finish).error, v1::ERROR_CONFLICT);
  metadata.Apply(Report(1, 1, 1, 1, {Voter(1, 1), Voter(added, 3)}));
  EXPECT_EQ(metadata.Apply(finish).error, v1::ERROR_CONFLICT);  // the old one is still there
  metadata.Apply(Report(1, 3, 2, 2, {Voter(added, 3)}));
  EXPECT_TRUE(metadata.Apply(finish).ok());
  EXPECT_EQ(metadata.partitions().at(1).wish(0).id(), added);
  EXPECT_FALSE(metadata.partitions().at(1).has_move());
  EXPECT_EQ(metadata.Apply(finish).error, v1::ERROR_CONFLICT);
  // Numbers are never given out again.
  EXPECT_EQ(metadata.Apply(Plan(3, 1, added)).id, added + 1);
}

TEST(Metadata, AbortKeepsTheWish) {
  // Protects: an aborted move leaves what was; one whose replica votes by now can't be aborted.
  Metadata metadata = SmallCluster();
  const uint64_t added = metadata.Apply(Plan(1, 3, 1)).id;
  v1::Command abort;
  *abort.mutable_abort_move() = EndOf(2);
  EXPECT_TRUE(metadata.Apply(abort).ok());
  v1::Command finish;
  *finish.mutable_finish_move() = EndOf(3);
  EXPECT_TRUE(metadata.Apply(finish).ok());
  EXPECT_EQ(metadata.partitions().at(1).wish(0).id(), 1u);
  const uint64_t again = metadata.Apply(Plan(4, 3, 1)).id;
  EXPECT_EQ(again, added + 1);
  metadata.Apply(Report(1, 1, 1, 1, {Voter(1, 1), Voter(again, 3)}));
  *abort.mutable_abort_move() = EndOf(5);
  EXPECT_EQ(metadata.Apply(abort).error, v1::ERROR_CONFLICT);
}

TEST(Metadata, TablesLiveOnce) {
  // Protects: names are unique among living tables, ids among all that ever were.
  Metadata metadata = SmallCluster();
  EXPECT_EQ(metadata.Apply(CreateTable("t")).id, 1u);
  EXPECT_EQ(metadata.Apply(CreateTable("t")).error, v1::ERROR_EXISTS);
  v1::Command remove;
  remove.set_delete_table("t");
  EXPECT_EQ(metadata.Apply(remove).error, v1::ERROR_IN_USE);  // being created
  EXPECT_TRUE(metadata.Apply(EndTable(false, 1, 1)).ok());
  EXPECT_TRUE(metadata.Apply(remove).ok());
  EXPECT_TRUE(metadata.Apply(remove).ok());  // asked once more, as the first answer was lost
  EXPECT_EQ(metadata.Apply(EndTable(false, 1, 1)).error, v1::ERROR_CONFLICT);
  EXPECT_EQ(metadata.Apply(EndTable(true, 1, 1)).error, v1::ERROR_CONFLICT);
  EXPECT_TRUE(metadata.Apply(EndTable(true, 1, 2)).ok());
  EXPECT_EQ(metadata.FindTable("t"), nullptr);
  EXPECT_EQ(metadata.Apply(CreateTable("t")).id, 2u);
}

TEST(Metadata, DeltasAddUpToTheWhole) {
  // Protects: a watcher that got every delta has the same map as one that starts anew.
  Metadata metadata = SmallCluster();
  metadata.Apply(CreateTable("gone"));
  metadata.Apply(EndTable(false, 1, 1));
  const uint64_t seen = metadata.version();
  v1::Command remove;
  remove.set_delete_table("gone");
  metadata.Apply(remove);
  metadata.Apply(EndTable(true, 1, 2));
  metadata.Apply(CreateTable("new"));
  metadata.Apply(Report(2, 2, 1, 1, {Voter(2, 2)}));
  const v1::MapUpdate delta = metadata.MapSince(seen);
  EXPECT_FALSE(delta.complete());
  EXPECT_EQ(delta.nodes_size(), 0);
  ASSERT_EQ(delta.partitions_size(), 1);
  EXPECT_EQ(delta.partitions(0).leader_node(), 2u);
  ASSERT_EQ(delta.tables_size(), 1);
  EXPECT_EQ(delta.tables(0).name(), "new");
  EXPECT_THAT(delta.deleted_tables(), testing::ElementsAre(1u));
  const v1::MapUpdate whole = metadata.MapSince(0);
  EXPECT_TRUE(whole.complete());
  EXPECT_EQ(whole.partitions_size(), 2);
  EXPECT_EQ(metadata.MapSince(metadata.version() + 1).complete(), true);
}

TEST(Metadata, UnknownCommandsStopTheReplica) {
  // Protects: a coordinator that does not know a command does not go on with another state.
  Metadata metadata;
  v1::Command command = Found();
  std::string bytes = EncodeCommand(command);
  EXPECT_TRUE(metadata.Apply(absl::string_view(bytes)).ok());
  command.set_version(2);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      metadata.Apply(absl::string_view(command.SerializeAsString())).status()));
  EXPECT_FALSE(metadata.Apply(absl::string_view("\xff\xff")).ok());
}

TEST(Metadata, GoldenBytes) {
  // Protects: what is in logs and files stays readable. These bytes may not change.
  EXPECT_EQ(absl::BytesToHexString(EncodeCommand(Found())), "0801120b084d12030b0c0d18022001");
  EXPECT_EQ(absl::BytesToHexString(EncodeCommand(Register(5, "a"))), "0801220508051a0161");
  EXPECT_EQ(absl::BytesToHexString(EncodeCommand(Plan(1, 3, 1))),
            "08014a08080110011803"
            "2001");
  Metadata metadata;
  metadata.Apply(Found());
  metadata.Apply(Register(5, "a"));
  EXPECT_EQ(absl::BytesToHexString(metadata.Image().SerializeAsString()),
            "0a0b084d12030b0c0d18022001"
            "1002"
            "1801"
            "3003"
            "3a060801100b1801"
            "3a060802100c1802"
            "3a060803100d1803"
            "420d0a0708011201612801"
            "10051802");
  const SealedFormat format = {.magic = "RINGTEST", .version = 1};
  EXPECT_EQ(absl::BytesToHexString(Seal(format, "abc")).substr(0, 26),
            "52494e475445535401"
            "03616263");
}

// --- The file
// --------------------------------------------------------------------------------------

class Silent : public MetadataObserver {
 public:
  void OnOpened(std::shared_ptr<const Metadata> metadata) override { opened = *metadata; }
  void OnApplied(std::vector<Entry>) override {}
  void OnLeadershipBegan(replication::Term) override {}
  void OnLeadershipEnded(replication::Term) override {}
  Metadata opened;
};

class MetadataFile : public testing::Test {
 protected:
  MetadataFile() : disk_(1) {
    EXPECT_TRUE(disk_.CreateDirectory("/m").ok());
    initial_.last = {1, 1};
    initial_.configuration.voters = {{1, 1}};
  }
  absl::StatusOr<std::unique_ptr<MetadataMachine>> Open() {
    return MetadataMachine::Open(disk_, "/m", initial_, observer_);
  }
  static Entry EntryOf(uint64_t index, const v1::Command& command) {
    return {2, index, EntryKind::kCommand,
            std::make_shared<const std::string>(EncodeCommand(command))};
  }

  SimulatedFileSystem disk_;
  Silent observer_;
  AppliedState initial_;
};

TEST_F(MetadataFile, FlushedStateReturns) {
  // Protects: what Flush wrote is what the next start has, position and members included.
  auto machine = Open();
  ASSERT_TRUE(machine.ok());
  const std::vector<Entry> entries = {EntryOf(2, Found()), EntryOf(3, Register(5, "a"))};
  ASSERT_TRUE((*machine)->Apply(entries).ok());
  EXPECT_EQ((*machine)->durable_applied(), 1u);
  ASSERT_TRUE((*machine)->Flush().ok());
  EXPECT_EQ((*machine)->durable_applied(), 3u);
  const AppliedState before = (*machine)->applied();
  machine = Open();
  ASSERT_TRUE(machine.ok());
  EXPECT_EQ((*machine)->applied(), before);
  EXPECT_EQ(observer_.opened.plan().formation(), 77u);
  EXPECT_EQ(observer_.opened.nodes().size(), 1u);
}

TEST_F(MetadataFile, WhatAnOpeningFindsIsDurable) {
  // Protects: the log is compacted up to what an opened state says it has; a name whose sync failed
  // must not count as that.
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedFileSystem disk(seed);
    ASSERT_TRUE(CreateDirectories(disk, "/m").ok());
    auto machine = MetadataMachine::Open(disk, "/m", initial_, observer_);
    const std::vector<Entry> entries = {EntryOf(2, Found())};
    ASSERT_TRUE((*machine)->Apply(entries).ok());
    disk.InjectError(SimulatedFileSystem::Operation::kSync, "/m", 1, 1,
                     absl::DataLossError("injected"));
    ASSERT_FALSE((*machine)->Flush().ok());
    disk.RestartProcess();
    machine = MetadataMachine::Open(disk, "/m", initial_, observer_);
    ASSERT_TRUE(machine.ok()) << machine.status();
    ASSERT_EQ((*machine)->durable_applied(), 2u);
    disk.Restart();
    machine = MetadataMachine::Open(disk, "/m", initial_, observer_);
    ASSERT_TRUE(machine.ok()) << machine.status();
    EXPECT_EQ((*machine)->applied().last.index, 2u) << "seed " << seed;
  }
}

TEST_F(MetadataFile, DamageIsFound) {
  // Protects: no flipped bit of the file is taken for metadata.
  auto machine = Open();
  ASSERT_TRUE(machine.ok());
  const std::vector<Entry> entries = {EntryOf(2, Found())};
  ASSERT_TRUE((*machine)->Apply(entries).ok());
  ASSERT_TRUE((*machine)->Flush().ok());
  const uint64_t bits = disk_.Content("/m/metadata").size() * 8;
  for (uint64_t bit = 0; bit < bits; ++bit) {
    disk_.FlipBit("/m/metadata", bit);
    EXPECT_TRUE(absl::IsDataLoss(Open().status())) << bit;
    disk_.FlipBit("/m/metadata", bit);
  }
  EXPECT_TRUE(Open().ok());
}

TEST(MetadataMembers, ARejoinedCoordinatorTakesItsPredecessorsVote) {
  // Protects: rule 14 and the number of voters: learner, one joint change, then removal.
  Metadata metadata;
  metadata.Apply(Found());
  v1::Command rejoin;
  rejoin.mutable_rejoin_coordinator()->set_coordinator(2);
  rejoin.mutable_rejoin_coordinator()->set_incarnation(99);
  EXPECT_EQ(metadata.Apply(rejoin).id, 4u);
  EXPECT_EQ(metadata.Apply(rejoin).id, 4u);
  replication::Configuration current;
  current.voters = {{1, 1}, {2, 2}, {3, 3}};
  auto change = NextMembersChange(metadata, current);
  ASSERT_TRUE(change.has_value());
  EXPECT_THAT(change->voters, testing::ElementsAreArray(current.voters));
  EXPECT_THAT(change->learners, testing::ElementsAre(replication::Member{4, 2}));
  current.learners = change->learners;
  change = NextMembersChange(metadata, current);
  ASSERT_TRUE(change.has_value());
  EXPECT_THAT(change->voters,
              testing::ElementsAre(replication::Member{1, 1}, replication::Member{3, 3},
                                   replication::Member{4, 2}));
  EXPECT_THAT(change->learners, testing::ElementsAre(replication::Member{2, 2}));
  current.voters = change->voters;
  current.learners = change->learners;
  change = NextMembersChange(metadata, current);
  ASSERT_TRUE(change.has_value());
  EXPECT_TRUE(change->learners.empty());
  current.learners.clear();
  EXPECT_FALSE(NextMembersChange(metadata, current).has_value());
}

}  // namespace
}  // namespace ringleader::coordinator
