// Expressions as a partition's users meet them: what is refused, in DynamoDB's words, because of
// the table's key or of the item that is there.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;

// Protects items from coming out of nothing: an update that only removes creates none. One without
// an expression does, and so does one that also sets.
TEST(PartitionTest, OnlyAnUpdateThatSetsCreates) {
  PartitionWorld world(19, 1);
  world.CreatePartition(1);
  for (const char* removal :
       {"REMOVE v", "REMOVE v.w, l[0]", "DELETE s :s", "REMOVE v DELETE s :s"}) {
    const bool deletes = absl::StrContains(removal, ":s");
    Request update =
        UpdateRequest("a", 1, removal, deletes ? R"({":s":{"$stringSet":["x"]}})" : "{}");
    update.mutable_update()->mutable_expressions()->set_condition("attribute_not_exists(pk)");
    update.mutable_update()->set_return_values(data::v1::RETURN_VALUES_ALL_NEW);
    const Response answer = world.Call(update);
    EXPECT_EQ(answer.error(), data::v1::ERROR_NONE) << removal << answer.message();
    EXPECT_EQ(answer.item(), "") << removal;
    EXPECT_FALSE(world.Call(GetRequest("a", 1)).found()) << removal;
  }
  Request mixed = UpdateRequest("a", 1, "SET n = :one REMOVE v", R"({":one":1})");
  mixed.mutable_update()->set_return_values(data::v1::RETURN_VALUES_ALL_NEW);
  EXPECT_EQ(PlainJson(world.Call(mixed).item()), R"({"n":1,"pk":"a","sk":1})");
  Request bare = UpdateRequest("b", 1, "", "{}");
  EXPECT_EQ(world.Call(bare).error(), data::v1::ERROR_NONE);
  EXPECT_TRUE(world.Call(GetRequest("b", 1)).found());
}

// Protects DynamoDB's words for what a write may return: puts and deletes know only the old item.
TEST(PartitionTest, OnlyUpdatesReturnMoreThanTheOldItem) {
  PartitionWorld world(20, 1);
  world.CreatePartition(1);
  Request put = PutRequest(R"({"pk":"a","sk":1})");
  put.mutable_put()->set_return_values(data::v1::RETURN_VALUES_ALL_NEW);
  EXPECT_EQ(world.Call(put).message(), "ReturnValues can only be ALL_OLD or NONE");
  Request erase;
  erase.mutable_delete_()->set_key(KeyBytes("a", 1));
  erase.mutable_delete_()->set_return_values(data::v1::RETURN_VALUES_UPDATED_OLD);
  EXPECT_EQ(world.Call(erase).message(), "ReturnValues can only be ALL_OLD or NONE");
  erase.mutable_delete_()->set_return_values(static_cast<data::v1::ReturnValues>(77));
  EXPECT_EQ(world.Call(erase).message(), "Return values set to invalid value");
}

Request QueryRequest(absl::string_view key_condition, absl::string_view values) {
  Request query;
  query.mutable_query()->mutable_expressions()->set_key_condition(std::string(key_condition));
  query.mutable_query()->mutable_expressions()->set_values(ItemBytes(values));
  return query;
}

// Protects callers from filters that a query's key condition should be: a query's filter names no
// key attribute, on either side. A scan's may.
TEST(PartitionTest, AQueryFiltersByNoKeyAttribute) {
  PartitionWorld world(21, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(R"({"pk":"a","sk":1,"v":1})"));
  const std::string refusal =
      "Filter Expression can only contain non-primary key attributes: Primary key attribute: ";
  const auto error = [&](absl::string_view filter) {
    Request query = QueryRequest("pk = :p", R"({":p":"a"})");
    query.mutable_query()->mutable_expressions()->set_filter(std::string(filter));
    return world.Call(query).message();
  };
  EXPECT_EQ(error("attribute_exists(v)"), "");
  EXPECT_EQ(error("attribute_exists(sk)"), refusal + "sk");
  EXPECT_EQ(error("attribute_exists(v) AND NOT (v > sk OR v = size(pk))"), refusal + "pk");
  EXPECT_EQ(error("v IN (v.w, sk[0])"), refusal + "sk");
  Request scan;
  scan.mutable_scan()->mutable_expressions()->set_filter("v = sk AND attribute_exists(pk)");
  const Response page = world.Call(scan);
  EXPECT_EQ(page.error(), data::v1::ERROR_NONE) << page.message();
  EXPECT_EQ(page.page().count(), 1u);
}

// Protects DynamoDB's words for paths into key attributes, wherever an expression may have one.
TEST(PartitionTest, NoPathLeadsIntoAKeyAttribute) {
  PartitionWorld world(22, 1);
  world.CreatePartition(1);
  const std::string refusal =
      "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
      "Key: ";
  Request put = PutRequest(R"({"pk":"a","sk":1})");
  put.mutable_put()->mutable_expressions()->set_condition("v = sk[0] OR attribute_exists(pk.v)");
  EXPECT_EQ(world.Call(put).message(), refusal + "pk");
  put.mutable_put()->mutable_expressions()->set_condition("attribute_not_exists(v.pk)");
  EXPECT_EQ(world.Call(put).message(), "");
  Request update = UpdateRequest("a", 1, "REMOVE v", "{}");
  update.mutable_update()->mutable_expressions()->set_condition("size(sk.v) = pk");
  EXPECT_EQ(world.Call(update).message(), refusal + "sk");
  Request scan;
  scan.mutable_scan()->mutable_expressions()->set_filter("attribute_exists(sk[1])");
  EXPECT_EQ(world.Call(scan).message(), refusal + "sk");
  Request query = QueryRequest("pk = :p", R"({":p":"a"})");
  query.mutable_query()->mutable_expressions()->set_projection("v, pk.v");
  EXPECT_EQ(world.Call(query).message(), refusal + "pk");
  Request get = GetRequest("a", 1);
  get.mutable_get()->mutable_expressions()->set_projection("sk.v");
  EXPECT_EQ(world.Call(get).message(), refusal + "sk");
}

// Protects the bound of a scan over many partitions: a page tells what was read for it, whatever
// the filter and the projection leave.
TEST(PartitionTest, APageTellsWhatWasRead) {
  PartitionWorld world(24, 1);
  world.CreatePartition(1);
  for (int sk = 1; sk <= 3; ++sk) {
    world.Call(PutRequest(
        absl::StrCat(R"({"pk":"a","sk":)", sk, R"(,"v":")", std::string(1000, 'x'), R"("})")));
  }
  Request scan;
  scan.mutable_scan()->mutable_expressions()->set_filter("sk = :s");
  scan.mutable_scan()->mutable_expressions()->set_values(ItemBytes(R"({":s":2})"));
  scan.mutable_scan()->mutable_expressions()->set_projection("sk");
  const Response page = world.Call(scan);
  EXPECT_EQ(page.page().items_size(), 1);
  // "pk" + "a", "sk" + a number of one digit, "v" + its bytes
  EXPECT_EQ(page.page().scanned_bytes(), 3u * (3 + 4 + 1001));
  Request query = QueryRequest("pk = :p", R"({":p":"a"})");
  query.mutable_query()->set_count_only(true);
  EXPECT_EQ(world.Call(query).page().scanned_bytes(), 3u * (3 + 4 + 1001));
}

// Protects callers who go on with a wrong key: a query begins behind no item that it can't have
// read. What a page ended at is one that it has.
TEST(PartitionTest, AQueryGoesOnWithinItsKeyCondition) {
  PartitionWorld world(23, 1);
  world.CreatePartition(1);
  for (int sk = 1; sk <= 4; ++sk)
    world.Call(PutRequest(absl::StrCat(R"({"pk":"a","sk":)", sk, "}")));
  const std::string outside =
      "The provided starting key is outside query boundaries based on provided conditions";
  const std::string unmatched = "The provided starting key does not match the range key predicate";
  const auto error = [&](bool has_sort, absl::string_view pk, int sk) {
    Request query = has_sort ? QueryRequest("pk = :p AND sk > :s", R"({":p":"a",":s":2})")
                             : QueryRequest("pk = :p", R"({":p":"a"})");
    query.mutable_query()->set_exclusive_start_key(KeyBytes(pk, sk));
    return world.Call(query).message();
  };
  EXPECT_EQ(error(false, "a", -7), "");
  EXPECT_EQ(error(false, "b", 3), outside);
  EXPECT_EQ(error(true, "a", 3), "");
  EXPECT_EQ(error(true, "a", 2), unmatched);
  EXPECT_EQ(error(true, "b", 3), outside);
  EXPECT_EQ(error(true, "b", 2), unmatched);
  for (const char* condition : {"pk = :p AND sk > :s", "pk = :p AND sk <= :s",
                                "pk = :p AND sk = :s", "pk = :p AND sk BETWEEN :s AND :s"}) {
    for (const bool backward : {false, true}) {
      Request query = QueryRequest(condition, R"({":p":"a",":s":2})");
      query.mutable_query()->set_backward(backward);
      query.mutable_query()->set_limit(1);
      Response page;
      do {
        page = world.Call(query);
        EXPECT_EQ(page.message(), "") << condition;
        query.mutable_query()->set_exclusive_start_key(page.page().last_evaluated_key());
      } while (!page.page().last_evaluated_key().empty());
    }
  }
}

}  // namespace
}  // namespace ringleader
