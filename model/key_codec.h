// Keys of the store, encoded so that byte order is the API's order.
//
//   key space   1 byte: what kind of record this is, and the version of its layout
//   table id    8 bytes, big-endian (an index's entries are under its own id)
//   token       8 bytes, big-endian
//   partition key component
//   sort key component, if the table has a sort key
//
// A component is a type byte (02 N, 03 B, 04 S) and
//   S, B   the bytes, 00 written as 00 FF; then 00 01
//   N      Decimal's ordered form
// Each component ends itself: no component is the beginning of another, and what follows it never
// takes part in its comparison. So one partition key's items are contiguous, in the order of the
// sort key: S and B by unsigned bytes (for S, the order of UTF-8), N by value.
//
// The layout may not change: stored keys consist of it. All functions are thread-safe. Ranges are
// [start, limit) by unsigned bytes.
#ifndef RINGLEADER_MODEL_KEY_CODEC_H_
#define RINGLEADER_MODEL_KEY_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/table_schema.h"
#include "model/token.h"

namespace ringleader::model {

// The first byte of every key. A new layout gets a new value; values are never reused.
enum class KeySpace : uint8_t {
  kMeta = 0x01,          // the replica's own records: applied index, eras, schema
  kWriteSession = 0x02,  // exactly-once records
  kItem = 0x10,          // items and index entries, in the layout above
};

// The longest key: every byte of both keys escaped.
inline constexpr size_t kKeyBytesMax =
    17 + (1 + 2 * kPartitionKeyBytesMax + 2) + (1 + 2 * kSortKeyBytesMax + 2);

struct KeyRange {
  std::string start;
  std::string limit;

  bool empty() const { return start >= limit; }
  bool Contains(absl::string_view key) const { return key >= start && key < limit; }
};

// One component. `value` is an S, N or B (CHECK).
void AppendKeyComponent(const AttributeValue& value, std::string* out);

// The token of a partition key in a table.
Token TokenOfKey(TableId table, const AttributeValue& partition_key);

// An item's key.
std::string EncodeItemKey(TableId table, const KeyView& key);
// The same into a buffer that is used again and again; it replaces what is there.
void EncodeItemKeyTo(TableId table, const KeyView& key, std::string* out);
// What is in an item's key (CHECK: it is one).
TableId TableInKey(absl::string_view key);
Token TokenInKey(absl::string_view key);
// The same under another id with a given token: entries of a local index lie at their item's token.
std::string EncodeKeyAt(TableId id, Token token, const KeyView& key);
// All that comes before the sort key.
std::string EncodePartitionPrefix(TableId id, Token token, const AttributeValue& partition_key);

struct DecodedKey {
  TableId table = 0;
  Token token = 0;
  AttributeValue partition;
  std::optional<AttributeValue> sort;
};

// Reads back what EncodeKeyAt wrote, and nothing else: DataLoss otherwise, as such a key can only
// come from a damaged store. That the token is an item's own is not checked.
absl::StatusOr<DecodedKey> DecodeItemKey(absl::string_view key);

// The least string greater than every string that begins with `prefix`; empty if there is none.
std::string PrefixEnd(std::string prefix);

// All of a table's records with tokens in `tokens`.
KeyRange TableRange(TableId table, const TokenRange& tokens);

// All items of one partition key; `prefix` from EncodePartitionPrefix.
KeyRange PartitionKeyRange(absl::string_view prefix);

// A condition on the sort key. `low` is the operand; BETWEEN has `high` too, both included.
struct SortCondition {
  enum class Operator : uint8_t {
    kEqual,
    kLess,
    kLessOrEqual,
    kGreater,
    kGreaterOrEqual,
    kBetween,
    kBeginsWith,  // S or B
  };
  Operator op = Operator::kEqual;
  AttributeValue low;
  AttributeValue high;
};

// The items under `prefix` whose sort key satisfies the condition; operands are of the sort key's
// type. Empty for BETWEEN with low above high.
KeyRange SortKeyRange(absl::string_view prefix, const SortCondition& condition);

// The same condition on a value: whether it holds. False for a value of another type.
bool Satisfies(const AttributeValue& value, const SortCondition& condition);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_KEY_CODEC_H_
