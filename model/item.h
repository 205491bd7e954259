// An item: named attributes. This file has the limits of an item and how DynamoDB counts its size.
//
// Size, in bytes (AWS developer guide, "DynamoDB item sizes and formats"; the number rule is exact
// where the guide says "approximately", as measured by others):
//   name                 its UTF-8 bytes
//   S, B                 their bytes
//   N                    1, plus 1 for each base-100 digit from the first to the last that is not
//                        zero (aligned to the decimal point), plus 1 if negative; at most 21; zero
//                        is 1
//   BOOL, NULL           1
//   SS, NS, BS           the sum of the elements
//   L                    3, plus (1 + size) for each element
//   M                    3, plus (1 + name + size) for each attribute
//   item                 the sum of (name + size) of its attributes
#ifndef RINGLEADER_MODEL_ITEM_H_
#define RINGLEADER_MODEL_ITEM_H_

#include <cstddef>

#include "absl/status/status.h"
#include "model/attribute_value.h"

namespace ringleader::model {

// An item is an AttributeMap: the same flat, sorted vector.
using Item = AttributeMap;

inline constexpr size_t kItemBytesMax = 409600;  // 400 KB, by the rules above
inline constexpr size_t kAttributeNameBytesMax = 65535;

size_t ItemBytes(const Item& item);
size_t ValueBytes(const AttributeValue& value);

// 1 to 65535 bytes.
absl::Status ValidateAttributeName(absl::string_view name);

// Checks names, nesting, then size, with DynamoDB's texts. `size_message` is
// what an item too large is refused with: DynamoDB words it by operation.
absl::Status ValidateItem(const Item& item, absl::string_view size_message = {});

inline constexpr absl::string_view kPutTooLarge = "Item size has exceeded the maximum allowed size";
inline constexpr absl::string_view kUpdateTooLarge =
    "Item size to update has exceeded the maximum allowed size";

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_ITEM_H_
