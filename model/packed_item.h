// An item as one run of bytes, for memory that keeps many of them: one allocation at most instead
// of one for each long name and value, and less than half of the bytes. Reading it costs as much as
// copying an Item.
//
// Of this process only: numbers are there as they are in memory, and reading checks nothing. What
// leaves the process, or comes into it, is in item_codec.h's form.
//
//   map              count, then for each attribute its name and its value
//   value            one byte AttributeType, then
//     S, B           bytes
//     N              a Decimal
//     BOOL           one byte
//     NULL           nothing
//     M              map
//     L              count, then values
//     SS, BS         count, then bytes
//     NS             count, then Decimals
//   bytes            count, then so many
//   count            one byte below 255; or 255 and four bytes
#ifndef RINGLEADER_MODEL_PACKED_ITEM_H_
#define RINGLEADER_MODEL_PACKED_ITEM_H_

#include <cstddef>

#include "model/item.h"

namespace ringleader::model {

size_t PackedBytes(const Item& item);

// Writes PackedBytes(item) bytes and returns their end.
char* PackItem(const Item& item, char* out);

// What PackItem() wrote. Copyable; does not own the bytes.
class PackedItem {
 public:
  explicit PackedItem(const char* begin) : begin_(begin) {}

  Item Unpack() const;
  // In the place of what is there.
  void UnpackTo(Item* item) const;

 private:
  const char* begin_;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_PACKED_ITEM_H_
