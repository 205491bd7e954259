// Expressions as a partition's users meet them: what is refused, in DynamoDB's words, because of
// the table's key or of the item that is there.
#include <gtest/gtest.h>

#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;

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
