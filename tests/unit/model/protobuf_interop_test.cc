// Protects that our codec and Protocol Buffers read each other: other languages use its code.
#include <gtest/gtest.h>

#include "model/item_codec.h"
#include "ringleader/model/v1/model.pb.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

// Protects both directions over random items: the library parses what we write, without unknown
// fields, and what it writes again (maps in any order) is the same item.
TEST(ProtobufInteropTest, RandomItemsPassThroughTheLibrary) {
  Random random(16);
  for (int i = 0; i < 2000; ++i) {
    const Item item = RandomMap(&random, 5);
    v1::Item message;
    ASSERT_TRUE(message.ParseFromString(EncodeItem(item)));
    EXPECT_EQ(message.attributes_size(), static_cast<int>(item.size()));
    const absl::StatusOr<Item> back = DecodeItem(message.SerializeAsString());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(*back == item);
    EXPECT_EQ(message.GetReflection()->GetUnknownFields(message).field_count(), 0);
  }
}

// Protects the meaning of each field: what the library was told is what we read.
TEST(ProtobufInteropTest, FieldsMeanWhatTheySay) {
  v1::Item message;
  auto& attributes = *message.mutable_attributes();
  attributes["s"].set_s("text");
  attributes["n"].set_n("1.50e1");
  attributes["b"].set_b(std::string("\0\xff", 2));
  attributes["boolean"].set_boolean(false);
  attributes["null"].set_null(true);
  attributes["m"].mutable_m()->mutable_attributes()->operator[]("k").set_s("v");
  attributes["l"].mutable_l()->add_values()->set_boolean(true);
  attributes["ss"].mutable_ss()->add_values("x");
  attributes["ns"].mutable_ns()->add_values("2");
  attributes["bs"].mutable_bs()->add_values("y");
  const absl::StatusOr<Item> item = DecodeItem(message.SerializeAsString());
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(*item->Find("s"), AttributeValue::String("text"));
  EXPECT_EQ(*item->Find("n"), AttributeValue::Number(Decimal(15)));
  EXPECT_EQ(*item->Find("b"), AttributeValue::Binary(std::string("\0\xff", 2)));
  EXPECT_EQ(*item->Find("boolean"), AttributeValue::Bool(false));
  EXPECT_EQ(*item->Find("null"), AttributeValue::Null());
  EXPECT_EQ(item->Find("m")->map().Find("k")->string(), "v");
  EXPECT_EQ(item->Find("l")->list()[0], AttributeValue::Bool(true));
  EXPECT_EQ(item->Find("ss")->string_set()[0], "x");
  EXPECT_EQ(item->Find("ns")->number_set()[0], Decimal(2));
  EXPECT_EQ(item->Find("bs")->binary_set()[0], "y");
}

}  // namespace
}  // namespace ringleader::model
