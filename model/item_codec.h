// Items and values as bytes: ringleader.model.v1.Item and AttributeValue in the Protocol Buffers
// wire format (proto/ringleader/model/v1/model.proto). The same bytes are on the wire, in the Raft
// log and in the store.
//
// Encoding is canonical: equal items have equal bytes on every replica. It takes one pass to
// measure and one to write, and one allocation.
//
// Decoding accepts what any Protocol Buffers library may write (any order, long varints) and
// refuses everything else, naming it: unknown or repeated fields, a second value in a oneof, an
// empty value, names twice, invalid UTF-8, numbers and sets that DynamoDB would refuse, more than
// kLevelsMax levels, a message that ends early. Safe on any bytes: work and memory are bounded by
// the input's size (at most 20 times).
//
// Errors are InvalidArgument: a SerializationError for malformed bytes, a ValidationError for
// values. Names, item size and key rules are checked by ValidateItem and TableSchema, not here.
// Thread-safe.
#ifndef RINGLEADER_MODEL_ITEM_CODEC_H_
#define RINGLEADER_MODEL_ITEM_CODEC_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/item.h"

namespace ringleader::model {

// No item of at most kItemBytesMax has a longer encoding. The worst is a set of numbers like 1E6:
// 2 bytes by DynamoDB's count, 9 here. Longer input is refused unread.
inline constexpr size_t kEncodedBytesMax = 5 * kItemBytesMax;

size_t EncodedBytes(const Item& item);
size_t EncodedBytes(const AttributeValue& value);

std::string EncodeItem(const Item& item);
std::string EncodeValue(const AttributeValue& value);
// Appends, for those who place an item inside a larger message.
void AppendEncoded(const Item& item, std::string* out);
void AppendEncoded(const AttributeValue& value, std::string* out);

absl::StatusOr<Item> DecodeItem(absl::string_view bytes);
absl::StatusOr<AttributeValue> DecodeValue(absl::string_view bytes);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_ITEM_CODEC_H_
