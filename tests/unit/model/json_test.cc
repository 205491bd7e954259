// Protects JSON in and out: what SDKs send and receive, and the plain form that people read.
#include "model/json.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "model/base64.h"
#include "model/error.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

std::string Json(const Item& item) {
  std::string text;
  AppendJson(item, &text);
  return text;
}

std::string Plain(const Item& item) {
  std::string text;
  const absl::Status status = AppendPlainJson(item, &text);
  return status.ok() ? text : std::string(status.message());
}

template <typename T>
std::string Error(const absl::StatusOr<T>& result) {
  return result.ok() ? "ok" : std::string(result.status().message());
}

std::string ValueError(absl::string_view text) { return Error(ValueFromJson(text)); }
std::string PlainError(absl::string_view text) { return Error(ItemFromPlainJson(text)); }

// Protects every type in DynamoDB's form, as read and as written.
TEST(JsonTest, ReadsAndWritesEveryType) {
  const char kText[] =
      R"({"b":{"B":"AP8="},"bs":{"BS":["","AQ=="]},"f":{"BOOL":false},"l":{"L":[{"S":"x"},{"N":"1"}]},)"
      R"("m":{"M":{"k":{"NULL":true}}},"n":{"N":"-1.5"},"ns":{"NS":["1","2"]},"s":{"S":"é\n\u0001\"\\"},)"
      R"("ss":{"SS":["a","b"]}})";
  const absl::StatusOr<Item> item = ItemFromJson(kText);
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(Json(*item), kText);
  EXPECT_EQ(item->Find("b")->binary(), std::string("\0\xff", 2));
  EXPECT_EQ(item->Find("s")->string(), "é\n\x01\"\\");
  EXPECT_EQ(Json(*ItemFromJson(R"( { "z" : {"N":"1.0e1"} , "a" : { "SS" : [ "b" , "a" ] } } )")),
            R"({"a":{"SS":["a","b"]},"z":{"N":"10"}})");
  EXPECT_EQ(Json(*ItemFromJson("{}")), "{}");
  EXPECT_EQ(*ValueFromJson(R"({"S":"x","N":null})"), AttributeValue::String("x"));
  EXPECT_EQ(*ValueFromJson(R"({"S":"\ud83d\ude00"})"), AttributeValue::String("😀"));
}

// Protects both forms over random items: nothing is lost.
TEST(JsonTest, RoundTripsRandomItems) {
  Random random(11);
  for (int i = 0; i < 3000; ++i) {
    const Item item = RandomMap(&random, 5);
    const absl::StatusOr<Item> back = ItemFromJson(Json(item));
    ASSERT_TRUE(back.ok()) << back.status() << Json(item);
    EXPECT_TRUE(*back == item) << Json(item);
    const absl::StatusOr<Item> plain = ItemFromPlainJson(Plain(item));
    ASSERT_TRUE(plain.ok()) << plain.status() << Plain(item);
    EXPECT_TRUE(*plain == item) << Plain(item);
  }
}

// Protects against hostile text: an error or some item, never a crash.
TEST(JsonTest, SurvivesDamage) {
  Random random(12);
  int refused = 0;
  for (int i = 0; i < 10000; ++i) {
    const Item item = RandomMap(&random, 4);
    std::string text = random.Chance(0.5) ? Json(item) : Plain(item);
    for (uint64_t flips = 1 + random.Below(3); flips > 0 && !text.empty(); --flips) {
      text[random.Below(text.size())] = static_cast<char>(
          random.Chance(0.5) ? R"({}[]",:0eE.-)"[random.Below(12)] : random.Below(256));
    }
    if (random.Chance(0.2)) text.resize(random.Below(text.size() + 1));
    refused += !ItemFromJson(text).ok();
    const absl::StatusOr<Item> plain = ItemFromPlainJson(text);
    if (!plain.ok()) continue;
    EXPECT_TRUE(*ItemFromPlainJson(Plain(*plain)) == *plain) << text;
  }
  EXPECT_GT(refused, 5000);
}

// Protects DynamoDB's words for values that it refuses, and where they are.
TEST(JsonTest, RefusesValuesInDynamoDbsWords) {
  const char kEmpty[] =
      "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
  const char kMany[] =
      "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
      "supported datatypes";
  const std::string kPrefix = "One or more parameter values were invalid: ";
  EXPECT_EQ(ValueError("{}"), kEmpty);
  EXPECT_EQ(ValueError(R"({"L":[{}]})"), kEmpty);
  EXPECT_EQ(ValueError(R"({"M":{"outer":{"M":{"inner":{}}}}})"), kEmpty);
  EXPECT_EQ(ValueError(R"({"S":"hello","N":"1"})"), kMany);
  EXPECT_EQ(ValueError(R"({"NULL":false})"),
            kPrefix + "Null attribute value types must have the value of true");
  EXPECT_EQ(ValueError(R"({"SS":[]})"), kPrefix + "An string set  may not be empty");
  EXPECT_EQ(ValueError(R"({"NS":[]})"), kPrefix + "An number set  may not be empty");
  EXPECT_EQ(ValueError(R"({"BS":[]})"), kPrefix + "Binary sets should not be empty");
  EXPECT_EQ(ValueError(R"({"NS":["1","1.0"]})"), "Input collection contains duplicates");
  EXPECT_EQ(ValueError(R"({"N":"abc"})"),
            "The parameter cannot be converted to a numeric value: abc");
  EXPECT_EQ(ValueError(R"({"N":""})"), "The parameter cannot be converted to a numeric value");
  const absl::Status status =
      ItemFromJson(R"({"a":{"M":{"b":{"L":[{"S":"x"},{"N":"y"}]}}}})").status();
  EXPECT_FALSE(IsSerializationError(status));
  EXPECT_EQ(status.GetPayload(kJsonPathPayload), absl::Cord("a.b[1]"));
}

// Protects that what is malformed is named with its place.
TEST(JsonTest, NamesThePlaceOfWhatIsMalformed) {
  const auto error = [](absl::string_view text) { return Error(ItemFromJson(text)); };
  EXPECT_EQ(error(R"({"a":{"M":{"b":{"L":[{"S":1}]}}}})"),
            "attribute a.b[0]: expected a string, found a number");
  EXPECT_EQ(error(R"({"a":{"N":1}})"), "attribute a: expected a string, found a number");
  EXPECT_EQ(error(R"({"a":{"BOOL":"true"}})"), "attribute a: expected a boolean, found a string");
  EXPECT_EQ(error(R"({"a":{"L":{}}})"), "attribute a: expected an array, found an object");
  EXPECT_EQ(error(R"({"a":{"M":[]}})"), "attribute a: expected an object, found an array");
  EXPECT_EQ(error(R"({"a":{"SS":["x",null]}})"), "attribute a[1]: expected a string, found null");
  EXPECT_EQ(error(R"({"a":"x"})"), "attribute a: expected an object, found a string");
  EXPECT_EQ(error(R"({"a":{"X":"x"}})"), "attribute a: unknown type X");
  EXPECT_EQ(error(R"({"a":{"B":"A"}})"),
            "attribute a: Base64 encoded length is expected a multiple of 4 bytes but found: 1");
  EXPECT_EQ(error(R"({"a":{"B":"A-=="}})"), "attribute a: Invalid Base64 character: '-'");
  EXPECT_EQ(error(R"({"a":{"B":"AB=="}})"),
            "attribute a: Invalid last non-pad Base64 character dectected");
  EXPECT_EQ(error(R"({"a":{"S":"1"},"a":{"S":"2"}})"), "attribute name occurs twice: a");
  EXPECT_EQ(error("[]"), "expected an object, found an array");
  EXPECT_NE(error(R"({"a":{"S":"x"}} {})"), "ok");
  EXPECT_NE(error(R"({"a":{"S":"x"}}})"), "ok");
  for (const char* text :
       {"", " ", "{", R"({"a")", R"({"a":})", R"({"a":{"S":"x"})", "nul", R"({"a":{"S":"\ud800"}})",
        "{\"a\":{\"S\":\"\xff\"}}", "{\"a\":{\"S\":\"\n\"}}", R"({"a":{"S":"x"},})"}) {
    EXPECT_NE(error(text), "ok") << text;
    EXPECT_TRUE(IsSerializationError(ItemFromJson(text).status())) << text;
  }
}

// Protects the plain form's numbers: every digit, and only JSON's spelling.
TEST(JsonTest, PlainNumbersKeepEveryDigit) {
  EXPECT_EQ(Plain(*ItemFromPlainJson(
                R"({"n":12345678901234567890.123456789012345678,"e":1E3,"z":-0.0,"i":  7  })")),
            R"({"e":1000,"i":7,"n":12345678901234567890.123456789012345678,"z":0})");
  EXPECT_EQ(PlainError(R"({"a":[{"b":123456789012345678901234567890123456789}]})"),
            "attribute a[0].b: Attempting to store more than 38 significant digits in a Number");
  for (const char* number :
       {"01", "-01", "1.", "-.5", ".5", "+1", "1e", "0x1", "1.e5", "-", "1-2"}) {
    EXPECT_NE(PlainError(absl::StrCat("{\"n\":", number, "}")), "ok") << number;
  }
}

// Protects the words for what JSON has none for, and that the few clashes are told.
TEST(JsonTest, PlainFormIsReversible) {
  const char kText[] =
      R"({"b":{"$binary":"AP8="},"bs":{"$binarySet":["AQ=="]},"f":true,"l":[null,{"k":"v"}],)"
      R"("ns":{"$numberSet":[1,2.5]},"ss":{"$stringSet":["a"]}})";
  const absl::StatusOr<Item> item = ItemFromPlainJson(kText);
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(Plain(*item), kText);
  EXPECT_TRUE(ItemFromPlainJson(R"({"a":{"$binary":"AA==","other":1}})")->Find("a")->is_map());
  EXPECT_TRUE(ItemFromPlainJson(R"({"$binary":1})").ok());  // the item itself is never a value
  Item clash;
  AttributeMap map;
  map.Set("$stringSet", AttributeValue::FromList({}));
  clash.Set("a", AttributeValue::FromMap(std::move(map)));
  EXPECT_EQ(Plain(clash),
            "a map whose only attribute is $stringSet cannot be written as plain JSON");
  EXPECT_EQ(PlainError(R"({"a":{"$binary":1}})"), "attribute a: $binary must be a string");
  EXPECT_EQ(PlainError(R"({"a":{"$numberSet":["1"]}})"),
            "attribute a: $numberSet must hold numbers only");
  EXPECT_EQ(PlainError(R"({"a":{"$stringSet":{}}})"), "attribute a: $stringSet must be an array");
  EXPECT_NE(PlainError(R"({"a":{"$stringSet":[]}})"), "ok");
}

// Protects sets and binaries at the deepest level, where their objects nest two levels further.
TEST(JsonTest, PlainFormReachesTheDeepestLevel) {
  Item item;
  item.Set("a", NestedValue(kLevelsMax - 1));
  AttributeValue* innermost = item.FindMutable("a");
  while (innermost->is_list()) innermost = &innermost->list()[0];
  *innermost =
      AttributeValue::FromList({*AttributeValue::StringSet({"x"}), AttributeValue::Binary("y")});
  ASSERT_TRUE(ValidateItem(item).ok());
  EXPECT_TRUE(*ItemFromPlainJson(Plain(item)) == item);
  innermost->list()[0] = AttributeValue::FromList({});
  innermost->list()[1] = NestedValue(2);
  EXPECT_FALSE(ItemFromPlainJson(Plain(item)).ok());
}

// Protects the stack from nested text.
TEST(JsonTest, BoundsLevels) {
  for (const int levels : {kLevelsMax, kLevelsMax + 1, 1000}) {
    std::string text, plain = R"({"a":)";
    Item item;
    item.Set("a", NestedValue(std::min(levels, 40)));
    for (int i = 1; i < levels; ++i) text += R"({"L":[)";
    text += R"({"NULL":true})";
    for (int i = 1; i < levels; ++i) text += "]}";
    plain += std::string(levels - 1, '[') + "1" + std::string(levels - 1, ']') + "}";
    EXPECT_EQ(ValueFromJson(text).ok(), levels <= kLevelsMax);
    EXPECT_EQ(ItemFromPlainJson(plain).ok(), levels <= kLevelsMax);
    EXPECT_EQ(ItemFromJson(Json(item)).ok(), levels <= kLevelsMax);
  }
  EXPECT_FALSE(ItemFromPlainJson(std::string(1 << 20, '[')).ok());
  EXPECT_FALSE(ItemFromJson(std::string(kJsonBytesMax + 1, ' ')).ok());
}

// Protects the code that reads and writes binaries: RFC 4648 section 10's vectors, and its edges.
TEST(Base64Test, MatchesTheStandard) {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xfb\xff", "+/8="}};
  for (const auto& [bytes, text] : vectors) {
    std::string encoded;
    AppendBase64(bytes, &encoded);
    EXPECT_EQ(encoded, text);
    EXPECT_EQ(*DecodeBase64(text), bytes);
  }
  for (const char* text :
       {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "=g==", "Z=g=", "Zh==", "Zm9="}) {
    EXPECT_FALSE(DecodeBase64(text).ok()) << text;
  }
  Random random(13);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random.Below(40), '\0'), encoded;
    for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
    AppendBase64(bytes, &encoded);
    EXPECT_EQ(encoded, absl::Base64Escape(bytes));
    EXPECT_EQ(*DecodeBase64(encoded), bytes);
  }
}

}  // namespace
}  // namespace ringleader::model
