// Protects schemas and the checks of keys: DynamoDB's rules and words.
#include "model/table_schema.h"

#include <gtest/gtest.h>

#include "tests/unit/model/values.h"

namespace ringleader::model {
namespace {

constexpr char kMismatch[] = "The provided key element does not match the schema";

TableSchema Table(bool has_sort = true) {
  TableSchema table;
  table.id = 1;
  table.name = "table";
  table.key.partition = {"pk", AttributeType::kString};
  if (has_sort) table.key.sort = KeyAttribute{"sk", AttributeType::kBinary};
  return table;
}

IndexSchema Index(std::string name, KeyAttribute partition, KeyAttribute sort) {
  IndexSchema index;
  index.name = std::move(name);
  index.key.partition = std::move(partition);
  index.key.sort = std::move(sort);
  return index;
}

Item Make(std::initializer_list<std::pair<const char*, AttributeValue>> attributes) {
  Item item;
  for (const auto& [name, value] : attributes) item.Set(name, value);
  return item;
}

std::string Text(const absl::Status& status) {
  return status.ok() ? "ok" : std::string(status.message());
}

// Protects the names of tables and indexes.
TEST(TableSchemaTest, ChecksNames) {
  EXPECT_TRUE(ValidateName("a.B-9_", "TableName").ok());
  EXPECT_TRUE(ValidateName(std::string(255, 'a'), "TableName").ok());
  const char kLength[] =
      "TableName must be at least 3 characters long and at most 255 characters long";
  EXPECT_EQ(ValidateName("ab", "TableName").message(), kLength);
  EXPECT_EQ(ValidateName(std::string(256, 'a'), "TableName").message(), kLength);
  EXPECT_EQ(ValidateName("abc;", "TableName").message(),
            "1 validation error detected: Value 'abc;' at 'tableName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
}

// Protects a request's key: exactly the key attributes, typed.
TEST(TableSchemaTest, ChecksKeys) {
  const TableSchema table = Table();
  const Item key = Make({{"pk", S("a")}, {"sk", B("b")}});
  const absl::StatusOr<KeyView> view = table.ValidateKey(key);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(*view->partition, S("a"));
  EXPECT_EQ(*view->sort, B("b"));
  EXPECT_EQ(table.CopyKey(*view), key);
  for (const Item& wrong :
       {Make({}), Make({{"pk", S("a")}}), Make({{"pk", S("a")}, {"x", B("b")}}),
        Make({{"pk", S("a")}, {"sk", S("b")}}), Make({{"pk", B("a")}, {"sk", B("b")}}),
        Make({{"pk", S("a")}, {"sk", B("b")}, {"x", B("b")}})}) {
    EXPECT_EQ(Text(table.ValidateKey(wrong).status()), kMismatch);
  }
  EXPECT_TRUE(Table(false).ValidateKey(Make({{"pk", S("a")}})).ok());
  EXPECT_EQ(Table(false).ValidateKey(Make({{"pk", S("a")}}))->sort, nullptr);
}

// Protects the lengths of keys at their edges.
TEST(TableSchemaTest, ChecksKeyLengths) {
  const auto check = [](std::string partition, std::string sort) {
    return Text(Table().ValidateKey(Make({{"pk", S(partition)}, {"sk", B(sort)}})).status());
  };
  const std::string kPrefix = "One or more parameter values were invalid: ";
  EXPECT_EQ(check(std::string(2048, 'a'), std::string(1024, 'b')), "ok");
  EXPECT_EQ(check(std::string(2049, 'a'), "b"),
            kPrefix + "Size of hashkey has exceeded the maximum size limit of2048 bytes");
  EXPECT_EQ(
      check("a", std::string(1025, 'b')),
      kPrefix + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes");
  const std::string kEmpty =
      "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
      "contain an empty ";
  EXPECT_EQ(check("", "b"), kEmpty + "string value. Key: pk");
  EXPECT_EQ(check("a", ""), kEmpty + "binary value. Key: sk");
}

// Protects items that are to be stored: keys there and typed, index keys typed if there.
TEST(TableSchemaTest, ChecksKeysInItems) {
  TableSchema table = Table();
  table.global_indexes.push_back(
      Index("byage", {"age", AttributeType::kNumber}, {"sk", AttributeType::kBinary}));
  table.local_indexes.push_back(
      Index("bynick", {"pk", AttributeType::kString}, {"nick", AttributeType::kString}));
  ASSERT_TRUE(table.Validate().ok());
  const auto check = [&](std::initializer_list<std::pair<const char*, AttributeValue>> item) {
    return Text(table.ValidateItemKeys(Make(item)).status());
  };
  const std::string kPrefix = "One or more parameter values were invalid: ";
  EXPECT_EQ(check({{"pk", S("a")}, {"sk", B("b")}, {"other", S("")}}), "ok");
  EXPECT_EQ(check({{"sk", B("b")}}), kPrefix + "Missing the key pk in the item");
  EXPECT_EQ(check({{"pk", S("a")}}), kPrefix + "Missing the key sk in the item");
  EXPECT_EQ(check({{"pk", B("a")}, {"sk", B("b")}}),
            kPrefix + "Type mismatch for key pk expected: S actual: B");
  EXPECT_EQ(check({{"pk", S("a")}, {"sk", B("b")}, {"age", S("1")}}),
            kPrefix + "Type mismatch for Index Key age Expected: N Actual: S IndexName: byage");
  EXPECT_EQ(check({{"pk", S("a")}, {"sk", B("b")}, {"nick", S("")}}),
            "One or more parameter values are not valid. A value specified for a secondary index "
            "key is not supported. The AttributeValue for a key attribute cannot contain an empty "
            "string value. IndexName: bynick, IndexKey: nick");
}

// Protects table definitions against each rule, one violation at a time.
TEST(TableSchemaTest, ChecksDefinitions) {
  const std::string kPrefix = "One or more parameter values were invalid: ";
  const KeyAttribute pk{"pk", AttributeType::kString};
  const KeyAttribute nick{"nick", AttributeType::kString};
  TableSchema table = Table();
  EXPECT_EQ(Text(table.Validate()), "ok");
  table.key.sort->name = "pk";
  EXPECT_EQ(Text(table.Validate()),
            "Both the Hash Key and the Range Key element in the KeySchema have the same name");
  table = Table();
  table.key.partition.type = AttributeType::kBool;
  EXPECT_NE(Text(table.Validate()), "ok");
  table = Table();
  table.global_indexes = {Index("twice", nick, pk)};
  table.local_indexes = {Index("twice", pk, nick)};
  EXPECT_EQ(Text(table.Validate()), kPrefix + "Duplicate index name: twice");
  table = Table();
  table.global_indexes = {Index("types", {"sk", AttributeType::kNumber}, pk)};
  EXPECT_NE(Text(table.Validate()), "ok");
  table = Table();
  table.local_indexes = {Index("other", nick, pk)};
  EXPECT_EQ(Text(table.Validate()),
            kPrefix +
                "Index KeySchema does not have the same leading hash key as table KeySchema for "
                "index: other. index hash key: nick, table hash key: pk");
  table.local_indexes[0].key.sort.reset();
  EXPECT_EQ(Text(table.Validate()),
            kPrefix + "Index KeySchema does not have a range key for index: other");
  table = Table(false);
  table.local_indexes = {Index("local", pk, nick)};
  EXPECT_EQ(Text(table.Validate()),
            kPrefix +
                "Table KeySchema does not have a range key, which is required when specifying a "
                "LocalSecondaryIndex");
  table = Table();
  table.global_indexes = {Index("index", nick, pk)};
  table.global_indexes[0].projection = ProjectionType::kInclude;
  EXPECT_EQ(Text(table.Validate()),
            kPrefix + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified");
  table.global_indexes[0].non_key_attributes = {"a", "a"};
  EXPECT_NE(Text(table.Validate()), "ok");
  table.global_indexes[0].non_key_attributes = {"a", "b"};
  EXPECT_EQ(Text(table.Validate()), "ok");
  table.global_indexes[0].projection = ProjectionType::kAll;
  EXPECT_EQ(Text(table.Validate()),
            kPrefix + "ProjectionType is ALL, but NonKeyAttributes is specified");
  table = Table();
  for (int i = 0; i < 6; ++i)
    table.local_indexes.push_back(Index("index" + std::to_string(i), pk, nick));
  EXPECT_EQ(Text(table.Validate()),
            kPrefix + "Number of LocalSecondaryIndexes exceeds per-table limit of 5");
}

}  // namespace
}  // namespace ringleader::model
