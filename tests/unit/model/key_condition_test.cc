// Protects key conditions: which items a query reads.
#include "model/key_condition.h"

#include <gtest/gtest.h>

#include "tests/unit/model/expression_harness.h"

namespace ringleader::model {
namespace {

KeySchema Key(bool has_sort = true) {
  KeySchema key;
  key.partition = {"pk", AttributeType::kString};
  if (has_sort) key.sort = KeyAttribute{"sk", AttributeType::kNumber};
  return key;
}

absl::StatusOr<KeyCondition> Parsed(absl::string_view expression, absl::string_view values,
                                    const KeySchema& key = Key()) {
  Placeholders placeholders = PlaceholdersOf(values, {{"#p", "pk"}});
  return KeyCondition::Parse(expression, key, &placeholders);
}

std::string Error(absl::string_view expression, const KeySchema& key = Key()) {
  const absl::StatusOr<KeyCondition> condition = Parsed(
      expression,
      R"({":p":{"S":"p"},":e":{"S":""},":1":{"N":"1"},":2":{"N":"2"},":b":{"B":"AQ=="}})", key);
  return condition.ok() ? "ok" : std::string(condition.status().message());
}

// Protects each operator on the sort key, on either side.
TEST(KeyConditionTest, ReadsEveryForm) {
  using Operator = SortCondition::Operator;
  const std::vector<std::pair<std::string, Operator>> cases = {
      {"pk = :p AND sk = :1", Operator::kEqual},
      {"sk < :1 AND pk = :p", Operator::kLess},
      {"pk = :p AND sk <= :1", Operator::kLessOrEqual},
      {"(pk = :p) AND (sk > :1)", Operator::kGreater},
      {":p = #p AND sk >= :1", Operator::kGreaterOrEqual},
      {"pk = :p AND :1 > sk", Operator::kLess},
      {"pk = :p AND :1 >= sk", Operator::kLessOrEqual},
      {"pk = :p AND :1 < sk", Operator::kGreater},
      {"pk = :p AND :1 <= sk", Operator::kGreaterOrEqual},
      {"pk = :p AND sk BETWEEN :1 AND :2", Operator::kBetween},
  };
  for (const auto& [expression, op] : cases) {
    const absl::StatusOr<KeyCondition> condition =
        Parsed(expression, R"({":p":{"S":"p"},":1":{"N":"1"},":2":{"N":"2"}})");
    ASSERT_TRUE(condition.ok()) << expression << condition.status();
    EXPECT_EQ(condition->partition, AttributeValue::String("p"));
    ASSERT_TRUE(condition->sort.has_value());
    EXPECT_EQ(condition->sort->op, op) << expression;
    EXPECT_EQ(condition->sort->low, AttributeValue::Number(Decimal(1)));
  }
  EXPECT_FALSE(Parsed("pk = :p", R"({":p":{"S":"p"}})")->sort.has_value());
  KeySchema text = Key();
  text.sort->type = AttributeType::kString;
  EXPECT_EQ(Parsed("pk = :p AND begins_with(sk, :p)", R"({":p":{"S":"p"}})", text)->sort->op,
            Operator::kBeginsWith);
}

// Protects that the range read is the one asked for.
TEST(KeyConditionTest, RangesHoldTheKeysAskedFor) {
  const absl::StatusOr<KeyCondition> condition =
      Parsed("pk = :p AND sk > :1", R"({":p":{"S":"p"},":1":{"N":"1"}})");
  ASSERT_TRUE(condition.ok());
  const Token token = TokenOfKey(1, condition->partition);
  const KeyRange range = condition->Range(1, token);
  const AttributeValue partition = AttributeValue::String("p");
  for (int i = -3; i < 5; ++i) {
    const AttributeValue sort = AttributeValue::Number(Decimal(i));
    EXPECT_EQ(range.Contains(EncodeItemKey(1, {&partition, &sort})), i > 1);
  }
  const AttributeValue only = AttributeValue::Number(Decimal(-3));
  EXPECT_TRUE(Parsed("pk = :p", R"({":p":{"S":"p"}})")
                  ->Range(1, token)
                  .Contains(EncodeItemKey(1, {&partition, &only})));
}

// Protects DynamoDB's refusals, word for word.
TEST(KeyConditionTest, Refuses) {
  const std::string kOperator = "Invalid operator used in KeyConditionExpression: ";
  const std::string kCondition = "Invalid condition in KeyConditionExpression: ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"pk = :p OR sk = :1", kOperator + "OR"},
      {"NOT pk = :p", kOperator + "NOT"},
      {"pk IN (:p)", kOperator + "IN"},
      {"pk <> :p", kOperator + "<>"},
      {"attribute_exists(pk)", kOperator + "attribute_exists"},
      {"pk = :p AND contains(sk, :1)", kOperator + "contains"},
      {"pk = :p AND size(sk) = :1", "KeyConditionExpressions cannot contain nested operations"},
      {"pk = :p AND :1 BETWEEN sk AND :2",
       kCondition + "BETWEEN operator must have the key attribute as its first operand"},
      {"pk = sk", kCondition + "Multiple attribute names used in one condition"},
      {":p = :1", kCondition + "No key attribute specified"},
      {"pk.a = :p", "KeyConditionExpressions cannot have conditions on nested attributes"},
      {"pk = :p AND pk = :p", "KeyConditionExpressions must only contain one condition per key"},
      {"sk = :1", "Query condition missed key schema element: pk"},
      {"pk = :p AND another = :1", "Query condition missed key schema element: sk"},
      {"pk = :p AND sk = :1 AND another = :1", "Conditions can be of length 1 or 2 only"},
      {"pk > :p", "Query key condition not supported"},
      {"begins_with(pk, :p)", "Query key condition not supported"},
      {"pk = :1",
       "One or more parameter values were invalid: Condition parameter type does not match schema "
       "type"},
      {"pk = :p AND sk = :b",
       "One or more parameter values were invalid: Condition parameter type does not match schema "
       "type"},
      {"pk = :e",
       "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
       "contain an empty string value. Key: pk"},
      {"pk = ", R"(Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "=")"},
      {"pk = :p AND sk BETWEEN :2 AND :1",
       "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater "
       "than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound "
       "operand: AttributeValue: {N:1}"},
  };
  for (const auto& [expression, error] : cases) EXPECT_EQ(Error(expression), error) << expression;
  EXPECT_EQ(Error("pk = :p", Key(false)), "ok");
  EXPECT_EQ(Error("pk = :p AND sk = :1", Key(false)), "Query key condition not supported");
}

}  // namespace
}  // namespace ringleader::model
