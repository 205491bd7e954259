// Protects updates: what they write, and what is refused, in DynamoDB's words.
#include "model/update.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/error.h"
#include "tests/unit/model/expression_harness.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

struct Case {
  const char* expression;
  const char* before;
  const char* values;
  std::string after;
};

void Check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    EXPECT_EQ(Updated(test.expression, test.before, test.values), test.after)
        << test.expression << " on " << test.before;
  }
}

constexpr char kOne[] = R"({":v":{"N":"1"}})";
constexpr char kLetters[] = R"({"l":{"L":[{"S":"a"},{"S":"b"},{"S":"c"}]}})";

std::string Letters(std::vector<std::string> letters) {
  return absl::StrCat(R"({"l":{"L":[)",
                      absl::StrJoin(letters, ",",
                                    [](std::string* out, const std::string& letter) {
                                      absl::StrAppend(out, R"({"S":")", letter, R"("})");
                                    }),
                      "]}}");
}

// Protects SET: values, arithmetic and functions, at the top and inside.
TEST(UpdateTest, Sets) {
  Check({
      {"SET a = :v", "{}", kOne, R"({"a":{"N":"1"}})"},
      {"set a=:v", R"({"a":{"S":"x"},"b":{"S":"y"}})", kOne, R"({"a":{"N":"1"},"b":{"S":"y"}})"},
      {"SET a = (:v)", "{}", kOne, R"({"a":{"N":"1"}})"},
      {"SET a = :v, b = :v", "{}", kOne, R"({"a":{"N":"1"},"b":{"N":"1"}})"},
      {"SET a = b", R"({"b":{"BOOL":true}})", "{}", R"({"a":{"BOOL":true},"b":{"BOOL":true}})"},
      {"SET m.x = :v", R"({"m":{"M":{}}})", kOne, R"({"m":{"M":{"x":{"N":"1"}}}})"},
      {"SET m.l[0].x = :v", R"({"m":{"M":{"l":{"L":[{"M":{}}]}}}})", kOne,
       R"({"m":{"M":{"l":{"L":[{"M":{"x":{"N":"1"}}}]}}}})"},
      {"SET a = a + :v", R"({"a":{"N":"41"}})", kOne, R"({"a":{"N":"42"}})"},
      {"SET a = a - :v", R"({"a":{"N":"0.1"}})", kOne, R"({"a":{"N":"-0.9"}})"},
      {"SET a = :v + a", R"({"a":{"N":"-1"}})", kOne, R"({"a":{"N":"0"}})"},
      {"SET a = (a) + (:v)", R"({"a":{"N":"1"}})", kOne, R"({"a":{"N":"2"}})"},
      {"SET a = b + c", R"({"b":{"N":"1"},"c":{"N":"2"}})", "{}",
       R"({"a":{"N":"3"},"b":{"N":"1"},"c":{"N":"2"}})"},
      {"SET a = if_not_exists(a, :v)", "{}", kOne, R"({"a":{"N":"1"}})"},
      {"SET a = if_not_exists(a, :v)", R"({"a":{"N":"7"}})", kOne, R"({"a":{"N":"7"}})"},
      {"SET a = if_not_exists(a, :v) + :v", "{}", kOne, R"({"a":{"N":"2"}})"},
      {"SET a = if_not_exists(b, if_not_exists(c, :v))", R"({"c":{"S":"c"}})", kOne,
       R"({"a":{"S":"c"},"c":{"S":"c"}})"},
      {"SET l = list_append(l, :v)", kLetters, R"({":v":{"L":[{"S":"d"}]}})",
       Letters({"a", "b", "c", "d"})},
      {"SET l = list_append(:v, l)", kLetters, R"({":v":{"L":[{"S":"d"}]}})",
       Letters({"d", "a", "b", "c"})},
      {"SET l = list_append(if_not_exists(l, :e), :v)", "{}",
       R"({":v":{"L":[{"S":"d"}]},":e":{"L":[]}})", Letters({"d"})},
      {"SET l = list_append(l, l)", R"({"l":{"L":[{"S":"a"}]}})", "{}", Letters({"a", "a"})},
  });
}

// Protects that every right side sees the item before the update.
TEST(UpdateTest, RightSidesSeeTheItemBefore) {
  Check({
      {"SET a = b, b = a", R"({"a":{"N":"1"},"b":{"N":"2"}})", "{}",
       R"({"a":{"N":"2"},"b":{"N":"1"}})"},
      {"SET a = :v, b = a + :v", R"({"a":{"N":"10"}})", kOne, R"({"a":{"N":"1"},"b":{"N":"11"}})"},
      {"SET b = a REMOVE a", R"({"a":{"N":"1"}})", "{}", R"({"b":{"N":"1"}})"},
      {"REMOVE a SET b = a", R"({"a":{"N":"1"}})", "{}", R"({"b":{"N":"1"}})"},
      {"ADD a :v SET b = a", R"({"a":{"N":"1"}})", kOne, R"({"a":{"N":"2"},"b":{"N":"1"}})"},
      {"SET l[0] = l[1], l[1] = l[0]", kLetters, "{}", Letters({"b", "a", "c"})},
  });
}

// Protects lists: positions are those before the update, beyond the end is appended.
TEST(UpdateTest, ListPositions) {
  constexpr char kX[] = R"({":x":{"S":"x"}})";
  constexpr char kXY[] = R"({":x":{"S":"x"},":y":{"S":"y"}})";
  Check({
      {"SET l[1] = :x", kLetters, kX, Letters({"a", "x", "c"})},
      {"SET l[3] = :x", kLetters, kX, Letters({"a", "b", "c", "x"})},
      {"SET l[99] = :x", kLetters, kX, Letters({"a", "b", "c", "x"})},
      {"SET l[9] = :y, l[5] = :x", kLetters, kXY, Letters({"a", "b", "c", "x", "y"})},
      {"SET l[5] = :x, l[1] = :y", kLetters, kXY, Letters({"a", "y", "c", "x"})},
      {"REMOVE l[0]", kLetters, "{}", Letters({"b", "c"})},
      {"REMOVE l[0], l[1]", kLetters, "{}", Letters({"c"})},
      {"REMOVE l[1], l[0], l[2]", kLetters, "{}", R"({"l":{"L":[]}})"},
      {"REMOVE l[3]", kLetters, "{}", kLetters},
      {"REMOVE l[0] SET l[1] = :x", kLetters, kX, Letters({"x", "c"})},
      {"REMOVE l[0] SET l[7] = :x", kLetters, kX, Letters({"b", "c", "x"})},
      {"REMOVE l[3] SET l[7] = :x", kLetters, kX, Letters({"a", "b", "c", "x"})},
      {"REMOVE l[0], l[1][0]", R"({"l":{"L":[{"S":"a"},{"L":[{"S":"b"},{"S":"c"}]}]}})", "{}",
       R"({"l":{"L":[{"L":[{"S":"c"}]}]}})"},
      {"REMOVE l[0][0], l[0][1], l[1]", R"({"l":{"L":[{"L":[{"S":"a"},{"S":"b"}]},{"S":"c"}]}})",
       "{}", R"({"l":{"L":[{"L":[]}]}})"},
  });
}

// Protects REMOVE.
TEST(UpdateTest, Removes) {
  Check({
      {"REMOVE a", R"({"a":{"N":"1"},"b":{"N":"2"}})", "{}", R"({"b":{"N":"2"}})"},
      {"REMOVE a", R"({"b":{"N":"2"}})", "{}", R"({"b":{"N":"2"}})"},
      {"REMOVE a, b", R"({"a":{"N":"1"},"b":{"N":"2"}})", "{}", "{}"},
      {"REMOVE m.a", R"({"m":{"M":{"a":{"N":"1"},"b":{"N":"2"}}}})", "{}",
       R"({"m":{"M":{"b":{"N":"2"}}}})"},
      {"REMOVE m.x", R"({"m":{"M":{}}})", "{}", R"({"m":{"M":{}}})"},
  });
}

// Protects ADD: numbers and sets, there or not.
TEST(UpdateTest, Adds) {
  Check({
      {"ADD a :v", "{}", kOne, R"({"a":{"N":"1"}})"},
      {"ADD a :v", R"({"a":{"N":"1.5"}})", kOne, R"({"a":{"N":"2.5"}})"},
      {"ADD m.a :v", R"({"m":{"M":{}}})", kOne, R"({"m":{"M":{"a":{"N":"1"}}}})"},
      {"ADD a :v", "{}", R"({":v":{"SS":["x"]}})", R"({"a":{"SS":["x"]}})"},
      {"ADD a :v", R"({"a":{"SS":["y","z"]}})", R"({":v":{"SS":["x","y"]}})",
       R"({"a":{"SS":["x","y","z"]}})"},
      {"ADD a :v", R"({"a":{"NS":["1"]}})", R"({":v":{"NS":["1.0","2"]}})",
       R"({"a":{"NS":["1","2"]}})"},
      {"ADD a :v", R"({"a":{"BS":["AQ=="]}})", R"({":v":{"BS":["AA=="]}})",
       R"({"a":{"BS":["AA==","AQ=="]}})"},
      {"ADD l[0] :v", R"({"l":{"L":[{"N":"1"}]}})", kOne, R"({"l":{"L":[{"N":"2"}]}})"},
  });
}

// Protects DELETE: the last element takes the attribute along.
TEST(UpdateTest, Deletes) {
  Check({
      {"DELETE a :v", R"({"a":{"SS":["x","y"]}})", R"({":v":{"SS":["x","q"]}})",
       R"({"a":{"SS":["y"]}})"},
      {"DELETE a :v", R"({"a":{"SS":["x"]}})", R"({":v":{"SS":["x"]}})", "{}"},
      {"DELETE a :v", "{}", R"({":v":{"SS":["x"]}})", "{}"},
      {"DELETE a :v", R"({"a":{"NS":["1","2"]}})", R"({":v":{"NS":["2.0"]}})",
       R"({"a":{"NS":["1"]}})"},
      {"DELETE a :v", R"({"a":{"NS":["2"]}})", R"({":v":{"NS":["2.0"]}})", "{}"},
      {"DELETE m.a :v", R"({"m":{"M":{"a":{"BS":["AQ==","AA=="]}}}})", R"({":v":{"BS":["AA=="]}})",
       R"({"m":{"M":{"a":{"BS":["AQ=="]}}}})"},
      {"SET b = :o REMOVE c ADD n :o DELETE a :v",
       R"({"a":{"SS":["x","y"]},"c":{"N":"1"},"n":{"N":"1"}})",
       R"({":v":{"SS":["x"]},":o":{"N":"1"}})",
       R"({"a":{"SS":["y"]},"b":{"N":"1"},"n":{"N":"2"}})"},
  });
}

// Protects DynamoDB's words for what shows only when the item is there.
TEST(UpdateTest, RefusesWhatTheItemDoesNotAllow) {
  const char kMissing[] =
      "The provided expression refers to an attribute that does not exist in the item";
  const char kType[] = "An operand in the update expression has an incorrect data type";
  const char kPath[] = "The document path provided in the update expression is invalid for update";
  const char kString[] = R"({"a":{"S":"x"}})";
  Check({
      {"SET a = b", "{}", "{}", kMissing},
      {"SET a = a + :v", "{}", kOne, kMissing},
      {"SET a = list_append(b, :v)", "{}", R"({":v":{"L":[]}})", kMissing},
      {"SET a = if_not_exists(b, c)", "{}", "{}", kMissing},
      {"SET a = l[3]", kLetters, "{}", kMissing},
      {"SET a = a + :v", kString, kOne, kType},
      {"SET a = :v - a", kString, kOne, kType},
      {"SET a = list_append(a, :v)", kString, R"({":v":{"L":[]}})", kType},
      {"SET a = list_append(:v, a)", kString, R"({":v":{"L":[]}})", kType},
      {"ADD a :v", kString, kOne, kType},
      {"ADD a :v", R"({"a":{"NS":["1"]}})", kOne, kType},
      {"ADD a :v", R"({"a":{"NS":["1"]}})", R"({":v":{"SS":["1"]}})", kType},
      {"DELETE a :v", kString, R"({":v":{"SS":["1"]}})", kType},
      {"DELETE a :v", R"({"a":{"NS":["1"]}})", R"({":v":{"SS":["1"]}})", kType},
      {"SET m.x = :v", "{}", kOne, kPath},
      {"SET a.x = :v", kString, kOne, kPath},
      {"SET a[0] = :v", kString, kOne, kPath},
      {"SET l.x = :v", kLetters, kOne, kPath},
      {"SET l[3].x = :v", kLetters, kOne, kPath},
      {"SET m[0] = :v", R"({"m":{"M":{}}})", kOne, kPath},
      {"REMOVE m.x", "{}", "{}", kPath},
      {"REMOVE a[0]", kString, "{}", kPath},
      {"ADD m.x :v", "{}", kOne, kPath},
      {"DELETE m.x :v", "{}", R"({":v":{"SS":["1"]}})", kPath},
      {"SET a = a + :v", R"({"a":{"N":"9E125"}})", R"({":v":{"N":"9E125"}})",
       "Number overflow. Attempting to store a number with magnitude larger than supported range"},
      {"ADD a :v", R"({"a":{"N":"1E38"}})", kOne,
       "Number overflow. Attempting to store a number with magnitude larger than supported range"},
  });
}

constexpr char kS[] = R"({":v":{"S":"x"}})";
constexpr char kElsewhere[] = "The function is not allowed in an update expression; function: ";

void CheckRefused(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    EXPECT_EQ(Updated(test.expression, test.before, test.values),
              absl::StrCat("Invalid UpdateExpression: ", test.after))
        << test.expression;
  }
}

// Protects DynamoDB's words for what shows without an item.
TEST(UpdateTest, RefusesWhatCannotBe) {
  const std::string kOverlap =
      "Two document paths overlap with each other; must remove or rewrite one of these paths; "
      "path one: ";
  const std::string kConflict =
      "Two document paths conflict with each other; must remove or rewrite one of these paths; "
      "path one: ";
  CheckRefused({
      {"", "{}", "{}", "The expression can not be empty;"},
      {"a = :v", "{}", "{}", R"_(Syntax error; token: "a", near: "a =")_"},
      {"SET", "{}", "{}", R"_(Syntax error; token: "<EOF>", near: "SET")_"},
      {"SET a", "{}", "{}", R"_(Syntax error; token: "<EOF>", near: "a")_"},
      {"SET a =", "{}", "{}", R"_(Syntax error; token: "<EOF>", near: "=")_"},
      {"SET a = :v,", "{}", kS, R"_(Syntax error; token: "<EOF>", near: ",")_"},
      {"SET _123 = :v", "{}", "{}", R"_(Syntax error; token: "_", near: "SET _123")_"},
      {"SET set = :v", "{}", "{}", R"_(Syntax error; token: "set", near: "SET set =")_"},
      {"SET a = b + c + d", "{}", "{}", R"_(Syntax error; token: "+", near: "c + d")_"},
      {"SET a = -:v", "{}", "{}", R"_(Syntax error; token: "-", near: "= -:v")_"},
      {"SET a = :v b", "{}", kS, R"_(Syntax error; token: "b", near: ":v b")_"},
      {"REMOVE a b", "{}", "{}", R"_(Syntax error; token: "b", near: "a b")_"},
      {"ADD a b", "{}", "{}", R"_(Syntax error; token: "b", near: "a b")_"},
      {"ADD a = :v", "{}", "{}", R"_(Syntax error; token: "=", near: "a = :v")_"},
      {"SET a = :v SET b = :v", "{}", kS,
       R"_(The "SET" section can only be used once in an update expression;)_"},
      {"REMOVE a ADD b :v REMOVE c", "{}", kOne,
       R"_(The "REMOVE" section can only be used once in an update expression;)_"},
      {"SET name = :v", "{}", kS, "Attribute name is a reserved keyword; reserved keyword: name"},
      {"SET a = b.count", "{}", "{}",
       "Attribute name is a reserved keyword; reserved keyword: count"},
      {"SET #a = :v", "{}", kS,
       "An expression attribute name used in the document path is not defined; attribute name: "
       "#a"},
      {"SET a = :w", "{}", "{}",
       "An expression attribute value used in expression is not defined; attribute value: :w"},
      {"SET a = :v REMOVE a", "{}", kS, kOverlap + "[a], path two: [a]"},
      {"SET a.b = :v, a = :v", "{}", kS, kOverlap + "[a, b], path two: [a]"},
      {"SET a[1].b = :v REMOVE a[1]", "{}", kS, kOverlap + "[a, [1], b], path two: [a, [1]]"},
      {"SET a.b = :v, a[0] = :v", "{}", kS, kConflict + "[a, b], path two: [a, [0]]"},
      // which of several is told
      {"SET name = size(a) SET b = :w", "{}", "{}",
       "Attribute name is a reserved keyword; reserved keyword: name"},
      {"SET a = size(a) SET b = :w", "{}", "{}", absl::StrCat(kElsewhere, "size")},
      {"SET a = :w, #x = :w", "{}", "{}",
       "An expression attribute name used in the document path is not defined; attribute name: "
       "#x"},
      {"SET a = a + :v REMOVE a", "{}", kS, kOverlap + "[a], path two: [a]"},
  });
}

// Protects DynamoDB's words for functions and operands that can't be where they are.
TEST(UpdateTest, RefusesWrongFunctionsAndOperands) {
  const std::string kType = "Incorrect operand type for operator or function; operator";
  const std::string kCount =
      "Incorrect number of operands for operator or function; operator or function: ";
  const std::string kMisused =
      "The function is not allowed to be used this way in an expression; function: ";
  CheckRefused({
      {"SET a = size(b)", "{}", "{}", absl::StrCat(kElsewhere, "size")},
      {"SET a = contains(b, :v)", "{}", kS, absl::StrCat(kElsewhere, "contains")},
      {"SET a = length(b)", "{}", "{}", "Invalid function name; function: length"},
      {"SET a = list_append(list_append(b, c), d)", "{}", "{}", kMisused + "list_append"},
      {"SET a = if_not_exists(b, list_append(c, d))", "{}", "{}", kMisused + "list_append"},
      {"SET a = b + (list_append(c, d))", "{}", "{}", kMisused + "list_append"},
      {"SET a = IF_NOT_EXISTS(b, :v)", "{}", kS, "Invalid function name; function: IF_NOT_EXISTS"},
      {"SET a = if_not_exists(b)", "{}", "{}", kCount + "if_not_exists, number of operands: 1"},
      {"SET a = list_append(b, c, d)", "{}", "{}", kCount + "list_append, number of operands: 3"},
      {"SET a = if_not_exists(:v, b)", "{}", kS,
       "Operator or function requires a document path; operator or function: if_not_exists"},
      {"SET a = a + :v", "{}", kS, kType + " or function: +, operand type: S"},
      {"SET a = :v - a", "{}", kS, kType + " or function: -, operand type: S"},
      {"SET a = list_append(a, :v)", "{}", kS,
       kType + " or function: list_append, operand type: S"},
      {"ADD a :v", "{}", kS,
       kType + ": ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
      {"ADD a :v", "{}", R"({":v":{"L":[]}})",
       kType + ": ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND"},
      {"DELETE a :v", "{}", kOne,
       kType + ": DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"},
      {"DELETE a :v", "{}", R"({":v":{"M":{}}})",
       kType + ": DELETE, operand type: MAP, typeSet: ALLOWED_FOR_DELETE_OPERAND"},
  });
}

// Protects keys from being changed.
TEST(UpdateTest, KeysCannotBeUpdated) {
  KeySchema key;
  key.partition = {"pk", AttributeType::kString};
  key.sort = KeyAttribute{"sk", AttributeType::kString};
  const auto error = [&](absl::string_view expression) {
    Placeholders placeholders = PlaceholdersOf(kOne, {{"#p", "pk"}});
    const absl::Status status = Update::Parse(expression, &placeholders)->CheckKeys(key);
    return status.ok() ? "ok" : std::string(status.message());
  };
  EXPECT_EQ(error("SET a = :v REMOVE pks"), "ok");
  EXPECT_EQ(error("SET a = pk"), "ok");
  for (const char* expression : {"SET pk = :v", "REMOVE pk", "ADD #p :v", "SET pk.a = :v"}) {
    EXPECT_EQ(error(expression),
              "One or more parameter values were invalid: Cannot update attribute pk. This "
              "attribute is part of the key");
  }
  EXPECT_NE(error("SET a = :v REMOVE sk"), "ok");
}

// Protects UPDATED_OLD and UPDATED_NEW: just what the expression names.
TEST(UpdateTest, NamesWhatItWrites) {
  Placeholders placeholders = PlaceholdersOf(kOne);
  const Item before =
      ItemOf(R"({"a":{"N":"1"},"m":{"M":{"x":{"N":"1"},"y":{"N":"2"}}},"z":{"N":"3"}})");
  const absl::StatusOr<Update> update =
      Update::Parse("SET m.x = :v, b = :v REMOVE a", &placeholders);
  ASSERT_TRUE(update.ok());
  const absl::StatusOr<Item> after = update->Apply(before);
  ASSERT_TRUE(after.ok());
  const Projection written(update->Paths());
  EXPECT_EQ(TextOf(written.Apply(before)), R"({"a":{"N":"1"},"m":{"M":{"x":{"N":"1"}}}})");
  EXPECT_EQ(TextOf(written.Apply(*after)), R"({"b":{"N":"1"},"m":{"M":{"x":{"N":"1"}}}})");
}

// Protects lists against a model: an element keeps its place or goes, what is new comes last.
TEST(UpdateTest, RandomListEditsAgreeWithAModel) {
  Random random(15);
  for (int i = 0; i < 3000; ++i) {
    const int size = static_cast<int>(random.Below(6));
    AttributeValue::List list;
    for (int j = 0; j < size; ++j) list.push_back(AttributeValue::Number(Decimal(j)));
    std::vector<std::string> sets, removes;
    std::vector<std::string> kept(size), appended;
    for (int j = 0; j < size; ++j) kept[j] = absl::StrCat(j);
    for (int j = 0; j < 9; ++j) {
      if (random.Chance(0.3)) {
        sets.push_back(absl::StrCat("l[", j, "] = :x"));
        if (j < size) {
          kept[j] = "x";
        } else {
          appended.push_back("x");
        }
      } else if (random.Chance(0.3)) {
        removes.push_back(absl::StrCat("l[", j, "]"));
        if (j < size) kept[j] = "";
      }
    }
    if (sets.empty() || removes.empty()) continue;
    std::reverse(removes.begin(), removes.end());
    Item before;
    before.Set("l", AttributeValue::FromList(std::move(list)));
    Placeholders placeholders = PlaceholdersOf(R"({":x":{"S":"x"}})");
    const std::string expression =
        absl::StrCat("SET ", absl::StrJoin(sets, ","), " REMOVE ", absl::StrJoin(removes, ","));
    const absl::StatusOr<Update> update = Update::Parse(expression, &placeholders);
    ASSERT_TRUE(update.ok()) << update.status();
    const absl::StatusOr<Item> after = update->Apply(before);
    ASSERT_TRUE(after.ok());
    std::vector<std::string> expected;
    for (const std::string& element : kept) {
      if (!element.empty()) expected.push_back(element);
    }
    expected.insert(expected.end(), appended.begin(), appended.end());
    std::vector<std::string> found;
    for (const AttributeValue& value : after->Find("l")->list()) {
      found.push_back(value.is_string() ? value.string() : value.number().ToString());
    }
    EXPECT_EQ(found, expected) << expression << " on " << size;
  }
}

// Protects updates of many attributes: an action is no operator, and 300 of those are allowed.
TEST(UpdateTest, BoundsOperators) {
  const auto sets = [](int actions, absl::string_view value) {
    std::vector<std::string> written;
    for (int i = 0; i < actions; ++i) written.push_back(absl::StrCat("a", i, "=", value));
    return absl::StrCat("SET ", absl::StrJoin(written, ","));
  };
  Placeholders placeholders = PlaceholdersOf(kOne);
  EXPECT_TRUE(Update::Parse(sets(301, ":v"), &placeholders).ok());
  EXPECT_TRUE(Update::Parse(sets(300, "b+:v"), &placeholders).ok());
  EXPECT_EQ(Updated(sets(301, "b+:v"), "{}", kOne),
            "Invalid UpdateExpression: The expression contains too many operators; operator count: "
            "301");
}

// Protects the bounds: an update may nest two values of full depth, which ValidateItem then
// refuses.
TEST(UpdateTest, BoundsDepthAndSize) {
  Item before;
  before.Set("a", NestedValue(kLevelsMax, /*maps=*/true));
  Item values;
  values.Set(":v", NestedValue(kLevelsMax));
  Placeholders placeholders = *Placeholders::Make({}, values);
  const std::string deepest = "a" + absl::StrJoin(std::vector<std::string>(kLevelsMax, ""), ".m");
  const absl::StatusOr<Update> update =
      Update::Parse(absl::StrCat("SET ", deepest, " = :v"), &placeholders);
  ASSERT_TRUE(update.ok()) << update.status();
  const absl::StatusOr<Item> after = update->Apply(before);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_FALSE(ValidateItem(*after).ok());
  EXPECT_EQ(Updated(absl::StrCat("SET ", deepest, ".m.m = :v"), "{}", kOne),
            "Invalid UpdateExpression: The document path has too many nesting elements; nesting "
            "levels: 34");
  EXPECT_EQ(Updated(absl::StrCat("SET a = ", std::string(4000, '('), "b"), "{}"),
            "Invalid UpdateExpression: The expression is nested too deeply; at most 320 levels are "
            "allowed");
}

}  // namespace
}  // namespace ringleader::model
