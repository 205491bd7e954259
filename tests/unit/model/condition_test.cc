// Protects conditions: what holds, and what is refused, in DynamoDB's words.
#include "model/condition.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/model/expression_harness.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

constexpr char kItem[] =
    R"({"n":{"N":"5"},"n2":{"N":"7.50"},"s":{"S":"hello"},"e":{"S":""},"u":{"S":"é😀"},)"
    R"("b":{"B":"AQID"},"t":{"BOOL":true},"f":{"BOOL":false},"nu":{"NULL":true},)"
    R"("ss":{"SS":["a","b"]},"ns":{"NS":["1","2.0"]},"bs":{"BS":["AQ=="]},)"
    R"("l":{"L":[{"N":"1"},{"S":"x"},{"M":{"k":{"L":[{"S":"deep"}]}}}]},"m":{"M":{"k":{"N":"5"},"z":{"S":"q"}}}})";

// What each case needs from these.
constexpr char kValues[] =
    R"({":n5":{"N":"5.0"},":n6":{"N":"6"},":n1":{"N":"1"},":n2":{"N":"2"},":n3":{"N":"3"},":n4":{"N":"4"},":hello":{"S":"hello"},)"
    R"(":he":{"S":"he"},":ell":{"S":"ell"},":a":{"S":"a"},":x":{"S":"x"},":z":{"S":"z"},":deep":{"S":"deep"},":empty":{"S":""},)"
    R"(":b":{"B":"AQID"},":b1":{"B":"AQ=="},":b2":{"B":"Ag=="},":true":{"BOOL":true},":null":{"NULL":true},)"
    R"(":ssba":{"SS":["b","a"]},":ns12":{"NS":["2","1"]},":m":{"M":{"z":{"S":"q"},"k":{"N":"5"}}},)"
    R"(":S":{"S":"S"},":N":{"S":"N"},":BOOL":{"S":"BOOL"},":L":{"S":"L"},":NULL":{"S":"NULL"},":M":{"S":"M"},":SS":{"S":"SS"}})";

// Like Evaluated, with only those values that the expression names.
std::string Holds(absl::string_view expression, absl::string_view item = kItem) {
  const Item all = ItemOf(kValues);
  Item used;
  for (const LexedToken& token : Lex(expression)) {
    if (token.kind != TokenKind::kValue) continue;
    CHECK(all.Find(token.text) != nullptr) << token.text;
    used.Set(token.text, *all.Find(token.text));
  }
  return Evaluated(expression, item, TextOf(used));
}

// Each holds for kItem, and its negation does not.
constexpr const char* kHolding[] = {
    // comparisons
    "n = :n5", ":n5 = n", "n < :n6", "n <= :n5", "n >= :n5", "n > :n4", "n <> :n6", "n < n2",
    "n2 > n", "s = :hello", "s > :he", "s < :x", "e = :empty", "e < :a", "b = :b", "b > :b1",
    "b < :b2", "t = :true", "t <> f", "nu = :null", "ss = :ssba", "ns = :ns12", "m = :m",
    "m.k = :n5", "n = m.k", "l[0] = :n1", "l[1] = :x", "l[2].k[0] = :deep",
    // different types and absent values
    "n <> :hello", "s <> :n5", "absent <> :n5", "absent <> another", "NOT absent = :n5",
    "NOT absent < :n5", "NOT n < s", "NOT t < n", "NOT ss > n", "NOT l[9] = :n1", "NOT m.k.z = :n1",
    "NOT s.k = :n1", "NOT m[0] = :n1", "NOT n > :hello",
    // BETWEEN and IN
    "n BETWEEN :n4 AND :n6", "n between :n5 and :n5", "NOT n BETWEEN :n1 AND :n4",
    "s BETWEEN :he AND :x", "n BETWEEN m.k AND n2", "NOT absent BETWEEN :n1 AND :n4",
    ":n5 BETWEEN n AND n2", "n IN (:n1, :n5)", "n IN (m.k)", "NOT n IN (:n1, :n2)",
    "NOT absent IN (:n1)", "s in (:x, :n5, :hello)", "NOT s IN (absent)",
    // functions
    "attribute_exists(n)", "attribute_exists(m.k)", "attribute_exists(l[2].k)",
    "attribute_exists(nu)", "attribute_not_exists(absent)", "attribute_not_exists(m.y)",
    "attribute_not_exists(l[3])", "attribute_not_exists(n.k)", "NOT attribute_exists(l[3])",
    "attribute_type(s, :S)", "attribute_type(n, :N)", "attribute_type(t, :BOOL)",
    "attribute_type(l, :L)", "attribute_type(nu, :NULL)", "attribute_type(m, :M)",
    "attribute_type(ss, :SS)", "NOT attribute_type(s, :N)", "NOT attribute_type(absent, :S)",
    "begins_with(s, :he)", "begins_with(s, :empty)", "begins_with(s, :hello)",
    "begins_with(b, :b1)", "NOT begins_with(s, :ell)", "NOT begins_with(n, :he)",
    "NOT begins_with(s, :b1)", "NOT begins_with(absent, :he)", "contains(s, :ell)",
    "contains(s, :empty)", "contains(b, :b2)", "contains(ss, :a)", "contains(ns, :n2)",
    "contains(bs, :b1)", "contains(l, :x)", "contains(l, :n1)", "NOT contains(s, :x)",
    "NOT contains(ss, :n1)", "NOT contains(ns, :n5)", "NOT contains(l, :deep)",
    "NOT contains(m, :a)", "NOT contains(s, :n1)", "NOT contains(absent, :x)",
    "contains(ss, l[1]) OR contains(l, l[1])",
    // size
    "size(s) = :n5", "size(u) = :n3", "size(b) = :n3", "size(ss) = :n2", "size(ns) = :n2",
    "size(bs) = :n1", "size(l) = :n3", "size(m) = :n2", "size(e) < :n1", "size(l[2].k) = :n1",
    "NOT size(n) = :n1", "NOT size(absent) < :n6", "size(n) <> :n1", "size(s) BETWEEN :n1 AND :n6",
    "size(s) IN (:n5)", "n = size(s)", "size(s) > size(l)", "size(:hello) = size(s)",
    "(size(s)) = (:n5)",
    // AND, OR, NOT, parentheses
    "n = :n5 AND s = :hello", "n = :n1 OR s = :hello", "NOT (n = :n1 AND s = :hello)",
    "NOT n = :n1 AND s = :hello", "n = :n5 OR n = :n1 AND n = :n2",
    "(n = :n5 OR n = :n1) AND s = :hello", "NOT NOT n = :n5", "not n = :n1 or n = :n1",
    "(n) = (:n5)", "NOT (NOT (n = :n5))", "n = :n5 AND n = :n5 AND (n = :n1 OR n = :n5 OR n = :n2)",
    "\tn\n=\r:n5 ", "n=:n5", "l[ 0 ]=:n1", "m . k = :n5"};

// Protects every operator and function over every type.
TEST(ConditionTest, Holds) {
  for (const char* expression : kHolding) {
    EXPECT_EQ(Holds(expression), "true") << expression;
    EXPECT_EQ(Holds(absl::StrCat("NOT (", expression, ")")), "false") << expression;
  }
}

// Protects conditions on an item that does not exist: the way to create only once.
TEST(ConditionTest, AnAbsentItemHasNoAttributes) {
  EXPECT_EQ(Holds("attribute_not_exists(n)", ""), "true");
  EXPECT_EQ(Holds("attribute_exists(n)", ""), "false");
  EXPECT_EQ(Holds("n = :n5", ""), "false");
  EXPECT_EQ(Holds("n <> :n5", ""), "true");
  EXPECT_EQ(Holds("size(n) > :n1 OR attribute_not_exists(m.k)", ""), "true");
}

// Protects the names of attributes given apart.
TEST(ConditionTest, ResolvesNames) {
  const Names names = {{"#a", "m"}, {"#b", "k"}, {"#dot", "x.y"}};
  EXPECT_EQ(
      Evaluated("#a.#b = :v AND attribute_not_exists(#dot)", kItem, R"({":v":{"N":"5"}})", names),
      "true");
  EXPECT_EQ(
      Evaluated("#dot = :v", R"({"x.y":{"N":"5"}})", R"({":v":{"N":"5"}})", {{"#dot", "x.y"}}),
      "true");
  EXPECT_EQ(Evaluated("#1 = :1", R"({"x":{"N":"5"}})", R"({":1":{"N":"5"}})", {{"#1", "x"}}),
            "true");
}

struct ErrorCase {
  std::string expression;
  std::string error;
};

constexpr char kUsed[] =
    "The function is not allowed to be used this way in an expression; function: ";
constexpr char kBadOperandType[] =
    "Incorrect operand type for operator or function; operator or function: ";
constexpr char kBadOperandCount[] =
    "Incorrect number of operands for operator or function; operator or function: ";
constexpr char kDistinct[] =
    "The first operand must be distinct from the remaining operands for this operator or "
    "function; operator: ";

void ExpectErrors(const std::vector<ErrorCase>& cases) {
  for (const ErrorCase& test : cases) {
    EXPECT_EQ(Holds(test.expression), absl::StrCat("Invalid ConditionExpression: ", test.error))
        << test.expression;
  }
}

// Protects the words and the place of syntax errors.
TEST(ConditionTest, RefusesWhatDoesNotParse) {
  ExpectErrors({
      {"", "The expression can not be empty;"},
      {"  ", "The expression can not be empty;"},
      {"n", R"_(Syntax error; token: "<EOF>", near: "n")_"},
      {"n =", R"_(Syntax error; token: "<EOF>", near: "=")_"},
      {"n = :n5 :n6", R"_(Syntax error; token: ":n6", near: ":n5 :n6")_"},
      {"= :n5", R"_(Syntax error; token: "=", near: "= :n5")_"},
      {"n == :n5", R"_(Syntax error; token: "=", near: "== :n5")_"},
      {"n != :n5", R"_(Syntax error; token: "!", near: "n !=")_"},
      {"_n = :n5", R"_(Syntax error; token: "_", near: "_n")_"},
      {"n = 5", R"_(Syntax error; token: "5", near: "= 5")_"},
      {"n = \"x\"", R"_(Syntax error; token: """, near: "= "x")_"},
      {"n[a] = :n5", R"_(Syntax error; token: "a", near: "[a]")_"},
      {"n[-1] = :n5", R"_(Syntax error; token: "-", near: "[-1")_"},
      {"n. = :n5", R"_(Syntax error; token: "=", near: ". = :n5")_"},
      {"n.0 = :n5", R"_(Syntax error; token: "0", near: ".0 =")_"},
      {"(n = :n5", R"_(Syntax error; token: "<EOF>", near: ":n5")_"},
      {"n = :n5)", R"_(Syntax error; token: ")", near: ":n5)")_"},
      {"n AND s", R"_(Syntax error; token: "AND", near: "n AND s")_"},
      {"(n) AND n = :n5", R"_(Syntax error; token: "AND", near: ") AND n")_"},
      {"NOT n", R"_(Syntax error; token: "<EOF>", near: "n")_"},
      {"n = :n5 AND", R"_(Syntax error; token: "<EOF>", near: "AND")_"},
      {"AND = :n5", R"_(Syntax error; token: "AND", near: "AND =")_"},
      {"n.and = :n5", R"_(Syntax error; token: "and", near: ".and =")_"},
      {"n BETWEEN :n1", R"_(Syntax error; token: "<EOF>", near: ":n1")_"},
      {"n BETWEEN :n1 OR :n2", R"_(Syntax error; token: "OR", near: ":n1 OR :n2")_"},
      {"n IN ()", R"_(Syntax error; token: ")", near: "()")_"},
      {"n IN :n1", R"_(Syntax error; token: ":n1", near: "IN :n1")_"},
      {"n IN (:n1,)", R"_(Syntax error; token: ")", near: ",)")_"},
      {"(n = :n5) = :n5", R"_(Syntax error; token: "=", near: ") = :n5")_"},
      {"size()", R"_(Syntax error; token: ")", near: "()")_"},
      {"n = # ", R"_(Syntax error; token: "#", near: "= #")_"},
  });
}

// Protects DynamoDB's words for functions used wrongly.
TEST(ConditionTest, RefusesWrongFunctions) {
  ExpectErrors({
      {"exists(n)", "Invalid function name; function: exists"},
      {"ATTRIBUTE_EXISTS(n)", "Invalid function name; function: ATTRIBUTE_EXISTS"},
      {"if_not_exists(n, :n5)",
       "The function is not allowed in a condition expression; function: if_not_exists"},
      {"size(n)", std::string(kUsed) + "size"},
      {"NOT size(n)", std::string(kUsed) + "size"},
      {"n = :n5 AND size(n)", std::string(kUsed) + "size"},
      {"attribute_exists(n) = :n5", std::string(kUsed) + "attribute_exists"},
      {"n = contains(s, :x)", std::string(kUsed) + "contains"},
      {"contains(contains(s, :x), :x)", std::string(kUsed) + "contains"},
      {"size(attribute_exists(n)) = :n5", std::string(kUsed) + "attribute_exists"},
      {"n IN (begins_with(s, :x))", std::string(kUsed) + "begins_with"},
      {"attribute_exists(n, s)",
       std::string(kBadOperandCount) + "attribute_exists, number of operands: 2"},
      {"contains(n)", std::string(kBadOperandCount) + "contains, number of operands: 1"},
      {"begins_with(s, :x, :x)",
       std::string(kBadOperandCount) + "begins_with, number of operands: 3"},
      {"size(s, n) = :n5", std::string(kBadOperandCount) + "size, number of operands: 2"},
      {"attribute_exists(:n5)",
       "Operator or function requires a document path; operator or function: attribute_exists"},
      {"attribute_not_exists(size(n))",
       "Operator or function requires a document path; operator or function: "
       "attribute_not_exists"},
      {"begins_with(s, :n5)", std::string(kBadOperandType) + "begins_with, operand type: N"},
      {"begins_with(size(s), :x)", std::string(kBadOperandType) + "begins_with, operand type: N"},
      {"attribute_type(s, :n5)", std::string(kBadOperandType) + "attribute_type, operand type: N"},
      {"attribute_type(s, n)", std::string(kBadOperandType) +
                                   "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"},
      {"attribute_type(s, :x)",
       "Invalid attribute type name found; type: x, valid types: "
       "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
      {"size(:n5) = :n5", std::string(kBadOperandType) + "size, operand type: N"},
      {"size(:true) = :n5", std::string(kBadOperandType) + "size, operand type: BOOL"},
      {"size(:null) = :n5", std::string(kBadOperandType) + "size, operand type: NULL"},
      {"size(size(s)) = :n5", std::string(kBadOperandType) + "size, operand type: N"},
  });
}

// Protects DynamoDB's words for operands that can never compare, and needless parentheses.
TEST(ConditionTest, RefusesWrongOperands) {
  ExpectErrors({
      {"((n = :n5))", "The expression has redundant parentheses;"},
      {"((n)) = :n5", "The expression has redundant parentheses;"},
      {"n = :n5 AND ((s = :hello OR n = :n1))", "The expression has redundant parentheses;"},
      {"n < :true", std::string(kBadOperandType) + "<, operand type: BOOL"},
      {"n <= :null", std::string(kBadOperandType) + "<=, operand type: NULL"},
      {":ssba > n", std::string(kBadOperandType) + ">, operand type: SS"},
      {"n >= :ns12", std::string(kBadOperandType) + ">=, operand type: NS"},
      {"size(s) > :m", std::string(kBadOperandType) + ">, operand type: M"},
      {"n BETWEEN :true AND :true", std::string(kBadOperandType) + "BETWEEN, operand type: BOOL"},
      {"n BETWEEN :n5 AND :x",
       "The BETWEEN operator requires same data type for lower and upper bounds; lower bound "
       "operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {S:x}"},
      {"n BETWEEN :n5 AND :n4",
       "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
       "lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:4}"},
      {"n = n", std::string(kDistinct) + "=, first operand: [n]"},
      {"m.k <> m.k", std::string(kDistinct) + "<>, first operand: [m, k]"},
      {"l[0] < l[0]", std::string(kDistinct) + "<, first operand: [l, [0]]"},
      {"n BETWEEN n AND :n5", std::string(kDistinct) + "BETWEEN, first operand: [n]"},
      {"n BETWEEN :n5 AND n", std::string(kDistinct) + "BETWEEN, first operand: [n]"},
      {"m.k IN (:n5, n, m.k)", std::string(kDistinct) + "IN, first operand: [m, k]"},
      {"contains(s, s)", std::string(kDistinct) + "contains, first operand: [s]"},
      {"begins_with(s, s)", std::string(kDistinct) + "begins_with, first operand: [s]"},
  });
}

// Protects which error is told when there are several, and what cannot be resolved.
TEST(ConditionTest, TellsErrorsInOrder) {
  ExpectErrors({
      {"name = :n5", "Attribute name is a reserved keyword; reserved keyword: name"},
      {"m.Status = :n5", "Attribute name is a reserved keyword; reserved keyword: Status"},
      {"#x = :n5",
       "An expression attribute name used in the document path is not defined; attribute name: "
       "#x"},
      {"((name = :n5))", "The expression has redundant parentheses;"},
      {"exists(name)", "Invalid function name; function: exists"},
      {"name = contains(s, :x)", std::string(kUsed) + "contains"},
      {"name = :n5 AND #x = :n5", "Attribute name is a reserved keyword; reserved keyword: name"},
      {"n < :true AND #x = :n5", std::string(kBadOperandType) + "<, operand type: BOOL"},
      {"#x = :n5 AND n < :true",
       "An expression attribute name used in the document path is not defined; attribute name: "
       "#x"},
  });
  EXPECT_EQ(Evaluated("n = :absent", kItem),
            "Invalid ConditionExpression: An expression attribute value used in expression is not "
            "defined; attribute value: :absent");
  EXPECT_EQ(Evaluated("n = ", kItem, "{}", {}, ExpressionKind::kFilter),
            R"(Invalid FilterExpression: Syntax error; token: "<EOF>", near: "=")");
  EXPECT_EQ(Evaluated("list_append(n, n)", kItem, "{}", {}, ExpressionKind::kFilter),
            "Invalid FilterExpression: The function is not allowed in a filter expression; "
            "function: list_append");
}

// Protects the limits: text, operators, IN's operands, nesting (and with it the stack).
TEST(ConditionTest, Bounds) {
  const char kValue[] = R"({":v":{"N":"5"}})";
  const std::string longest = "n" + std::string(kExpressionBytesMax - 6, ' ') + "= :v";
  EXPECT_EQ(longest.size(), kExpressionBytesMax - 1);
  EXPECT_EQ(Evaluated(longest + " ", kItem, kValue), "true");
  EXPECT_EQ(Evaluated(longest + "  ", kItem, kValue),
            "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; "
            "expression size: 4097");
  EXPECT_EQ(Evaluated(longest + "  ", kItem, kValue, {}, ExpressionKind::kKeyCondition),
            "Invalid KeyConditionExpression: Expression size has exceeded the maximum allowed "
            "size;");
  const auto chain = [](int comparisons) {
    return absl::StrJoin(std::vector<std::string>(comparisons, "n=:v"), " OR ");
  };
  EXPECT_EQ(Evaluated(chain(150), kItem, kValue), "true");
  EXPECT_EQ(Evaluated(chain(151), kItem, kValue),
            "Invalid ConditionExpression: The expression contains too many operators; operator "
            "count: 301");
  const auto in = [](int operands) {
    return absl::StrCat("n IN (", absl::StrJoin(std::vector<std::string>(operands, ":v"), ","),
                        ")");
  };
  EXPECT_EQ(Evaluated(in(100), kItem, kValue), "true");
  EXPECT_EQ(Evaluated(in(101), kItem, kValue),
            "Invalid ConditionExpression: The IN operator is provided with too many operands; "
            "number of operands: 101");
  std::string nested = "n = :v";
  for (int i = 0; i < 140; ++i) nested = absl::StrCat("NOT (", nested, ")");
  EXPECT_EQ(Evaluated(nested, kItem, kValue), "true");
  for (const std::string& deep :
       {std::string(4000, '('), absl::StrCat(std::string(2000, '('), "n", std::string(2000, ')')),
        absl::StrJoin(std::vector<std::string>(1000, "NOT"), " "),
        absl::StrJoin(std::vector<std::string>(800, "size"), "(")}) {
    EXPECT_EQ(Evaluated(deep, kItem, "{}"),
              "Invalid ConditionExpression: The expression is nested too deeply; at most 320 "
              "levels are allowed");
  }
  EXPECT_EQ(Evaluated("n[99999999999] = :v", kItem, kValue),
            "Invalid ConditionExpression: List index is not within the allowable range; index: "
            "[99999999999]");
}

// Protects the placeholders' rules.
TEST(PlaceholdersTest, ChecksKeysAndUse) {
  const auto error = [](Names names, absl::string_view values) {
    const absl::StatusOr<Placeholders> made = Placeholders::Make(names, ItemOf(values));
    return made.ok() ? "ok" : std::string(made.status().message());
  };
  EXPECT_EQ(error({{"#a_1", "x"}}, R"({":B_2":{"S":"x"}})"), "ok");
  for (const char* key : {"a", "#", "#a-b", "##", "", ":a"}) {
    EXPECT_EQ(error({{key, "x"}}, "{}"),
              absl::StrCat("ExpressionAttributeNames contains invalid key: Syntax error; key: \"",
                           key, "\""));
  }
  EXPECT_EQ(error({}, R"({"v":{"S":"x"}})"),
            "ExpressionAttributeValues contains invalid key: Syntax error; key: \"v\"");
  const std::string letters(255, 'a');
  const std::string too_long =
      " contains invalid key: The expression attribute map contains a key that is too long; size "
      "of key: 256";
  EXPECT_EQ(error({{"#" + letters.substr(1), "x"}}, "{}"), "ok");
  EXPECT_EQ(error({{"#" + letters, "x"}}, "{}"), "ExpressionAttributeNames" + too_long);
  EXPECT_EQ(error({}, absl::StrCat("{\":", letters, R"(":{"S":"x"}})")),
            "ExpressionAttributeValues" + too_long);
  EXPECT_EQ(error({{"#a", std::string(65535, 'x')}}, "{}"), "ok");
  EXPECT_EQ(error({{"#a", std::string(65536, 'x')}}, "{}"),
            "One or more parameter values were invalid: Attribute name is too large, must be less "
            "than 65536 bytes");
  EXPECT_EQ(Evaluated("n = :v", kItem, R"({":v":{"N":"5"}})", {{"#b", "b"}, {"#a", "a"}}),
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}");
  EXPECT_EQ(Evaluated("n = :v", kItem, R"({":v":{"N":"5"},":w":{"N":"5"}})"),
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}");
}

// Protects the list of reserved words.
TEST(ReservedWordTest, KnowsTheList) {
  EXPECT_EQ(ReservedWordCount(), 573u);
  for (const char* word : {"ABORT", "abort", "Zone", "NAME", "localtimestamp", "INNTER", "TTL"}) {
    EXPECT_TRUE(IsReservedWord(word)) << word;
  }
  for (const char* word : {"", "A", "NAMEX", "ZZZ", "AAA", "id", "localtimestampx", "pk"}) {
    EXPECT_FALSE(IsReservedWord(word)) << word;
  }
}

// Protects against hostile text: an error or an answer.
TEST(ConditionTest, SurvivesRandomTokens) {
  static constexpr const char* kPieces[] = {"n = :v",
                                            "m.k < n2",
                                            "size(l) >= :v",
                                            "n BETWEEN :v AND n2",
                                            "contains(ss, s)",
                                            "AND",
                                            "AND",
                                            "OR",
                                            "NOT",
                                            "(",
                                            ")",
                                            "n",
                                            "l[0]",
                                            ",",
                                            "IN",
                                            "=",
                                            "[",
                                            "!",
                                            "\xff"};
  Random random(14);
  int parsed = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string text = "n = :v";
    for (uint64_t j = 1 + random.Below(8); j > 0; --j) {
      absl::StrAppend(&text, " ", kPieces[random.Below(19)]);
    }
    const std::string result = Evaluated(text, kItem, R"({":v":{"N":"5"}})");
    parsed += result == "true" || result == "false";
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace ringleader::model
