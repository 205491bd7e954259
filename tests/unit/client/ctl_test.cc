// ringctl's own logic: the JSON it takes, imports with broken lines, and what it calls healthy.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/cache.h"
#include "client/ctl/context.h"
#include "client/ctl/export.h"
#include "client/ctl/health.h"
#include "client/ctl/import.h"
#include "client/ctl/item_text.h"
#include "client/ctl/output.h"

namespace ringleader::ctl {
namespace {

TEST(CacheTest, SaysWhoHoldsWhat) {
  // Protects: sums are of the nodes that answered, and what is missing is said.
  NodeCache first{.node = 1, .address = "a:1"};
  first.status.mutable_total()->set_sessions(3);
  first.status.mutable_total()->set_items(5);
  first.status.mutable_total()->set_grants(6);
  first.status.set_next_after(9);
  cache::v1::SessionStatus& session = *first.status.add_sessions();
  session.set_session(9);
  session.set_client(255);
  session.set_peer("ipv4:10.0.0.9:1");
  session.set_age_ms(61500);
  session.set_silent_ms(200);
  session.set_partitions(2);
  session.set_items(5);
  session.set_invalidations(1);
  NodeCache second{.node = 2, .address = "b:1"};
  second.status.mutable_total()->set_items(4);
  NodeCache gone{.node = 3, .address = "c:1", .reached = absl::UnavailableError("refused")};
  const std::vector<NodeCache> nodes = {first, second, gone};
  EXPECT_EQ(CacheText(nodes),
            "NODE  SESSIONS  ITEMS  GRANTS  WAITS  BLOCKED\n"
            "1     3         5      6       0      0\n"
            "2     0         4      0       0      0\n"
            "all   3         9      6       0      0\n"
            "\n"
            "NODE  SESSION  CLIENT            PEER             AGE S  SILENT S  PARTITIONS  ITEMS  "
            "INVALIDATIONS\n"
            "1     9        00000000000000ff  ipv4:10.0.0.9:1  61.5   0.2       2           5      "
            "1\n"
            "node 1 has 2 more sessions; --sessions shows more\n");
  const std::string json = CacheJson(nodes);
  EXPECT_NE(json.find(R"("unreachable": [
 {"node": "3", "address": "c:1"}
])"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("items": "9")"), std::string::npos);
}

TEST(CompletionTest, KnowsEveryCommandAndItsOptions) {
  // Protects: what is added to the commands can be completed, whatever it is.
  CLI::App app("The command line of a Ringleader cluster.", "ringctl");
  Context context;
  AddClusterCommands(app, context);
  AddCacheCommand(app, context);
  AddCompletionCommand(app, context);
  app.parse("completion bash");
  testing::internal::CaptureStdout();
  ASSERT_TRUE(context.run().ok());
  const std::string script = testing::internal::GetCapturedStdout();
  EXPECT_NE(script.find("'ringctl') words='status health cache completion --help' ;;"),
            std::string::npos)
      << script;
  EXPECT_NE(script.find("'ringctl cache') words='--help --sessions --table --key' ;;"),
            std::string::npos)
      << script;
}

TEST(ItemTextTest, TakesBothFormsAndNoMixture) {
  // Protects: a typo in DynamoDB's JSON is an error, never a plain item of maps.
  const auto plain = ParseItem(R"({"id": "ada", "age": 36})");
  const auto typed = ParseItem(R"({"id": {"S": "ada"}, "age": {"N": "36"}})");
  ASSERT_TRUE(plain.ok() && typed.ok());
  EXPECT_EQ(*plain, *typed);
  EXPECT_FALSE(ParseItem(R"({"age": {"N": 36}})").ok());
  EXPECT_FALSE(ParseItem(R"({"age": {"N": "x"}})").ok());
  EXPECT_FALSE(ParseItem(R"({"id": )").ok());
  const auto mixed = ParseItem(R"({"id": "ada", "m": {"S": "x"}})");
  ASSERT_TRUE(mixed.ok());
  EXPECT_TRUE(mixed->Find("m")->is_map());
}

TEST(ItemTextTest, WhatIsPrintedReadsBackTheSame) {
  // Protects: export and import round trips, of items that look like the other form too.
  for (const char* text : {R"({"id": "a", "n": 1.50})", R"({"id": {"M": {"S": {"S": "x"}}}})",
                           R"({"id": {"BS": ["AAE="]}})", R"({})"}) {
    const auto item = ParseItem(text);
    ASSERT_TRUE(item.ok()) << text;
    for (const bool is_dynamodb_json : {false, true}) {
      const auto again = ParseItem(ItemText(*item, is_dynamodb_json));
      ASSERT_TRUE(again.ok()) << text;
      EXPECT_EQ(*again, *item) << text;
    }
  }
}

TEST(ItemTextTest, NamesTheMistakeInKeysAndNames) {
  // Protects: messages say what to write.
  EXPECT_EQ(ParseKeyAttribute("n:N")->type, model::AttributeType::kNumber);
  EXPECT_EQ(ParseKeyAttribute("id")->type, model::AttributeType::kString);
  EXPECT_FALSE(ParseKeyAttribute("id:SS").ok());
  EXPECT_FALSE(ParseKeyAttribute(":S").ok());
  EXPECT_EQ(ParseNames({"#n=a=b"})->front().second, "a=b");
  EXPECT_FALSE(ParseNames({"n=a"}).ok());
}

TEST(ImportTest, WritesGoodLinesAndNamesBrokenOnes) {
  // Protects: a broken line costs only itself, and is found by its number.
  std::istringstream in("{\"id\": 1}\nnonsense\n\n{\"id\": 2}\n{\"id\": 3}");
  std::vector<std::string> reported;
  const ImportCounts counts = ImportLines(
      in, {.file_name = "items.jsonl"},
      [](const model::Item& item, Callback<WriteResult> done) {
        const bool fails = item.Find("id")->number().ToString() == "2";
        if (fails) return done(MakeError(ErrorKind::kThrottled, "later"));
        done(WriteResult());
      },
      [&](absl::string_view message) { reported.emplace_back(message); },
      [](const ImportCounts&) {});
  EXPECT_EQ(counts.written, 2u);
  EXPECT_EQ(counts.broken, 1u);
  EXPECT_EQ(counts.failed, 1u);
  ASSERT_EQ(reported.size(), 2u);
  EXPECT_EQ(reported[0].rfind("items.jsonl:2: ", 0), 0u) << reported[0];
  EXPECT_EQ(reported[1], "items.jsonl:4: throttled: later");
}

// A table of `partitions` partitions of two pages with two items each; those in `away` don't
// answer.
class FakeTable {
 public:
  explicit FakeTable(uint32_t partitions) : partitions_(partitions) {}

  absl::StatusOr<QueryPage> Scan(const QueryOptions& options) {
    EXPECT_EQ(options.segments, partitions_);
    asked.emplace_back(options.segment, options.timeout);
    const auto found = away.find(options.segment);
    if (found != away.end() && (!options.start_key.empty() || !found->second)) {
      return MakeError(ErrorKind::kUnavailable, "its leader is unknown");
    }
    QueryPage page;
    const bool is_second = !options.start_key.empty();
    for (const int item : {0, 1}) {
      page.items.push_back(*ParseItem(
          absl::StrCat(R"({"id": ")", options.segment, "-", 2 * is_second + item, R"("})")));
    }
    if (!is_second) page.last_key = page.items.back();
    return page;
  }

  std::map<uint32_t, bool> away;  // and whether its first page can be read all the same
  std::vector<std::pair<uint32_t, std::chrono::milliseconds>> asked;

 private:
  const uint32_t partitions_;
};

ExportResult ExportFake(
    FakeTable& table, uint32_t partitions, std::set<std::string>* items,
    const std::function<void()>& each_page = [] {}) {
  ExportOptions options;
  for (uint32_t i = 0; i < partitions; ++i) options.partitions.push_back(absl::StrCat(i + 1));
  return ExportTable(
      options, [&](const QueryOptions& scan) { return table.Scan(scan); },
      [&](const QueryPage& page, const ExportCounts&) {
        for (const model::Item& item : page.items) {
          EXPECT_TRUE(items->insert(ItemText(item, false)).second) << "written twice";
        }
        each_page();
        return absl::OkStatus();
      });
}

TEST(ExportTest, WritesWhatCanBeReadAndNamesTheRest) {
  // Protects a backup taken in bad times: one partition that is away costs its own items only, and
  // nobody takes what is there for the whole.
  FakeTable table(4);
  table.away = {{1, false}, {2, true}};
  std::set<std::string> items;
  const ExportResult result = ExportFake(table, 4, &items);
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.counts.items, 4u + 2 + 4);
  EXPECT_EQ(items.size(), result.counts.items);
  ASSERT_EQ(result.missing.size(), 2u);
  EXPECT_EQ(result.missing[0].name, "2");
  EXPECT_FALSE(result.missing[0].is_begun);
  EXPECT_EQ(result.missing[1].name, "3");
  EXPECT_TRUE(result.missing[1].is_begun);
  EXPECT_EQ(MissingText(result, 4),
            "2 of 4 partitions could not be read: 2, 3 (from a part of it on). The last: its "
            "leader is unknown");
}

TEST(ExportTest, WhatWasAwayIsAskedAgainAtTheEndAndGoesOnWhereItWas) {
  // Protects the export from a leader's change in the middle of it: nothing missing, nothing twice.
  FakeTable table(3);
  table.away = {{0, false}, {1, true}};
  std::set<std::string> items;
  const ExportResult result = ExportFake(table, 3, &items, [&] {
    if (items.size() == 2 + 4) table.away.clear();  // the third partition is read
  });
  EXPECT_TRUE(result.status.ok());
  EXPECT_TRUE(result.missing.empty());
  EXPECT_EQ(items.size(), 12u);
  EXPECT_EQ(table.asked.front().second, ExportOptions().brief_timeout);
  EXPECT_EQ(table.asked.back().second, ExportOptions().timeout);
}

TEST(ExportTest, AnErrorThatNoPartitionWouldSpareEndsItAtOnce) {
  // Protects: a wrong table's name is said once, and at once.
  int asked = 0;
  ExportOptions options;
  options.partitions = {"1", "2", "3"};
  const ExportResult result = ExportTable(
      options,
      [&](const QueryOptions&) -> absl::StatusOr<QueryPage> {
        ++asked;
        return MakeError(ErrorKind::kTableNotFound, "no such table");
      },
      [](const QueryPage&, const ExportCounts&) { return absl::OkStatus(); });
  EXPECT_EQ(KindOf(result.status), ErrorKind::kTableNotFound);
  EXPECT_EQ(asked, 1);
}

TEST(HealthTest, IsHealthyOnlyWithEveryQuorumAndNoAlarm) {
  // Protects: `ringctl health` tells the truth to whoever runs it at night.
  coordinator::v1::StatusResponse status;
  EXPECT_FALSE(HealthOf(status).is_healthy());  // it says nothing of any partition
  auto* partition = status.add_partitions();
  partition->set_partition(7);
  partition->set_has_quorum(true);
  partition->set_replicas_alive(2);
  partition->set_replicas_wanted(3);
  EXPECT_TRUE(HealthOf(status).is_healthy());
  status.add_alarms("node 2: disk full");
  EXPECT_FALSE(HealthOf(status).is_healthy());
  status.clear_alarms();
  partition->set_has_quorum(false);
  ASSERT_EQ(HealthOf(status).problems.size(), 1u);
  EXPECT_NE(HealthOf(status).problems[0].find("partition 7"), std::string::npos);
}

TEST(OutputTest, AlignsColumnsAndQuotesJson) {
  // Protects: both outputs, byte for byte.
  Table table({"name", "n"});
  table.Add({"a\"b", "1"});
  table.Add({"longer", "2"});
  EXPECT_EQ(table.Text(), "NAME    N\na\"b     1\nlonger  2\n");
  EXPECT_EQ(
      table.Json(),
      "[\n {\"name\": \"a\\\"b\", \"n\": \"1\"},\n {\"name\": \"longer\", \"n\": \"2\"}\n]\n");
}

}  // namespace
}  // namespace ringleader::ctl
