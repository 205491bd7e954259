// A table's schema: name, keys, indexes; and the checks of keys and items against it, with
// DynamoDB's texts.
//
// A schema is validated once, when the table is made or changed; the checks of keys assume a valid
// one. Values; thread-compatible.
#ifndef RINGLEADER_MODEL_TABLE_SCHEMA_H_
#define RINGLEADER_MODEL_TABLE_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/item.h"

namespace ringleader::model {

// Never reused: a deleted table's id stays dead (DESIGN section 9). 0 is no table. Indexes have ids
// of their own from the same numbers.
using TableId = uint64_t;

inline constexpr size_t kPartitionKeyBytesMax = 2048;
inline constexpr size_t kSortKeyBytesMax = 1024;
inline constexpr size_t kLocalIndexesMax = 5;
inline constexpr size_t kGlobalIndexesMax = 20;
inline constexpr size_t kNonKeyAttributesMax = 100;  // of all of a table's indexes together

// A key attribute: type S, N or B.
struct KeyAttribute {
  std::string name;
  AttributeType type = AttributeType::kString;
  friend bool operator==(const KeyAttribute&, const KeyAttribute&) = default;
};

// HASH and, if there is one, RANGE.
struct KeySchema {
  KeyAttribute partition;
  std::optional<KeyAttribute> sort;
  friend bool operator==(const KeySchema&, const KeySchema&) = default;

  bool Contains(absl::string_view name) const {
    return name == partition.name || (sort.has_value() && name == sort->name);
  }
};

// What an index entry carries besides the index's and the table's keys.
enum class ProjectionType : uint8_t { kAll = 0, kKeysOnly = 1, kInclude = 2 };

struct IndexSchema {
  TableId id = 0;
  std::string name;
  KeySchema key;
  ProjectionType projection = ProjectionType::kAll;
  std::vector<std::string> non_key_attributes;  // for kInclude
  friend bool operator==(const IndexSchema&, const IndexSchema&) = default;
};

// The key attributes of one item or key; points into it.
struct KeyView {
  const AttributeValue* partition = nullptr;
  const AttributeValue* sort = nullptr;  // null if the table has no sort key
};

struct TableSchema {
  TableId id = 0;
  uint64_t version = 1;  // of this table's schema; grows with every change (DESIGN section 1)
  std::string name;
  KeySchema key;
  std::vector<IndexSchema> local_indexes;   // the table's partition key, a sort key of their own
  std::vector<IndexSchema> global_indexes;  // any keys
  friend bool operator==(const TableSchema&, const TableSchema&) = default;

  // The whole definition: names, types, index rules.
  absl::Status Validate() const;

  // The key of a request (`Key`): exactly the key attributes, of the right types and lengths.
  absl::StatusOr<KeyView> ValidateKey(const Item& key) const;

  // The key inside an item that is to be stored, and the types of the attributes that indexes are
  // keyed by.
  absl::StatusOr<KeyView> ValidateItemKeys(const Item& item) const;

  // The key attributes of a stored item: those checks have passed. CHECKs that they are there.
  KeyView KeyOf(const Item& item) const;
  // A new item of only the key attributes, as LastEvaluatedKey and a first update need.
  Item CopyKey(const KeyView& key) const;
};

// 3 to 255 of a-z A-Z 0-9 _ - . , as tables and indexes are named. `field` is how the request calls
// it: "TableName" or "IndexName".
absl::Status ValidateName(absl::string_view name, absl::string_view field);

// A key attribute's length: 1 byte to the maximum for its place. A number always fits.
absl::Status ValidateKeyBytes(const KeyAttribute& attribute, const AttributeValue& value,
                              bool is_partition_key);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_TABLE_SCHEMA_H_
