// Protects projections: the parts of an item that a reader asks for.
#include "model/projection.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/model/expression_harness.h"

namespace ringleader::model {
namespace {

constexpr char kProjectedItem[] =
    R"({"a":{"N":"1"},"l":{"L":[{"S":"x"},{"M":{"k":{"S":"y"},"z":{"S":"w"}}},{"S":"q"}]},)"
    R"("m":{"M":{"k":{"N":"2"},"n":{"M":{"deep":{"N":"3"}}},"o":{"N":"4"}}},"x.y":{"N":"5"}})";

// Protects what each path selects.
TEST(ProjectionTest, Selects) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a", R"({"a":{"N":"1"}})"},
      {"absent", "{}"},
      {"a, absent", R"({"a":{"N":"1"}})"},
      {"m.k", R"({"m":{"M":{"k":{"N":"2"}}}})"},
      {"m.k, m.o", R"({"m":{"M":{"k":{"N":"2"},"o":{"N":"4"}}}})"},
      {"m.o,a,m.n.deep",
       R"({"a":{"N":"1"},"m":{"M":{"n":{"M":{"deep":{"N":"3"}}},"o":{"N":"4"}}}})"},
      {"l[1]", R"({"l":{"L":[{"M":{"k":{"S":"y"},"z":{"S":"w"}}}]}})"},
      {"l[2], l[0]", R"({"l":{"L":[{"S":"x"},{"S":"q"}]}})"},
      {"l[1].k", R"({"l":{"L":[{"M":{"k":{"S":"y"}}}]}})"},
      {"l[1].z, l[1].k, l[2]", R"({"l":{"L":[{"M":{"k":{"S":"y"},"z":{"S":"w"}}},{"S":"q"}]}})"},
      {"l[9]", "{}"},
      {"m.absent", "{}"},
      {"m[0]", "{}"},
      {"a.k", "{}"},
      {"l.k", "{}"},
  };
  for (const auto& [expression, expected] : cases) {
    EXPECT_EQ(Projected(expression, kProjectedItem), expected) << expression;
  }
  EXPECT_EQ(Projected("#d, m.#k", kProjectedItem, {{"#d", "x.y"}, {"#k", "k"}}),
            R"({"m":{"M":{"k":{"N":"2"}}},"x.y":{"N":"5"}})");
}

// Protects DynamoDB's refusals.
TEST(ProjectionTest, Refuses) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "The expression can not be empty;"},
      {"a,", R"_(Syntax error; token: "<EOF>", near: ",")_"},
      {"a b", R"_(Syntax error; token: "b", near: "a b")_"},
      {"a = b", R"_(Syntax error; token: "=", near: "a = b")_"},
      {":v", R"_(Syntax error; token: ":v", near: ":v")_"},
      {"[0]", R"_(Syntax error; token: "[", near: "[0")_"},
      {"name", "Attribute name is a reserved keyword; reserved keyword: name"},
      {"#n",
       "An expression attribute name used in the document path is not defined; attribute name: "
       "#n"},
      {"a, a",
       "Two document paths overlap with each other; must remove or rewrite one of these paths; "
       "path one: [a], path two: [a]"},
      {"b, a.b, a.b.c",
       "Two document paths overlap with each other; must remove or rewrite one of these paths; "
       "path one: [a, b], path two: [a, b, c]"},
      {"a.b, a[0]",
       "Two document paths conflict with each other; must remove or rewrite one of these paths; "
       "path one: [a, b], path two: [a, [0]]"},
  };
  for (const auto& [expression, error] : cases) {
    EXPECT_EQ(Projected(expression, kProjectedItem),
              absl::StrCat("Invalid ProjectionExpression: ", error))
        << expression;
  }
  EXPECT_EQ(Projected(std::string(4097, 'a'), kProjectedItem),
            "Invalid ProjectionExpression: Expression size has exceeded the maximum allowed size;");
  EXPECT_EQ(Projected(std::string(4096, 'a'), kProjectedItem), "{}");
}

}  // namespace
}  // namespace ringleader::model
