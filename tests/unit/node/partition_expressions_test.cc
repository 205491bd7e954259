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

}  // namespace
}  // namespace ringleader
