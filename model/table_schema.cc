#include "model/table_schema.h"

#include <map>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "common/check.h"
#include "common/status.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

constexpr size_t kNameBytesMin = 3;
constexpr size_t kNameBytesMax = 255;
constexpr size_t kKeyNameBytesMax = 255;

absl::Status KeyMismatch() {
  return ValidationError("The provided key element does not match the schema");
}

// Types by attribute name over the table and its indexes: one attribute, one type.
using Definitions = std::map<std::string, AttributeType>;

absl::Status ValidateKeyAttribute(const KeyAttribute& attribute, Definitions* definitions) {
  if (attribute.name.empty() || attribute.name.size() > kKeyNameBytesMax) {
    return InvalidParameter(absl::StrCat("The name of a key attribute must have 1 to ",
                                         kKeyNameBytesMax, " bytes: '", attribute.name, "'"));
  }
  if (attribute.type != AttributeType::kString && attribute.type != AttributeType::kNumber &&
      attribute.type != AttributeType::kBinary) {
    return InvalidParameter(absl::StrCat("The type of key attribute ", attribute.name,
                                         " must be S, N or B, not ", TypeName(attribute.type)));
  }
  const auto [at, is_new] = definitions->emplace(attribute.name, attribute.type);
  if (!is_new && at->second != attribute.type) {
    return InvalidParameter(
        absl::StrCat("Duplicate AttributeName in AttributeDefinitions: ", attribute.name,
                     " is both ", TypeName(at->second), " and ", TypeName(attribute.type)));
  }
  return absl::OkStatus();
}

absl::Status ValidateKeySchema(const KeySchema& key, Definitions* definitions) {
  RETURN_IF_ERROR(ValidateKeyAttribute(key.partition, definitions));
  if (!key.sort.has_value()) return absl::OkStatus();
  if (key.sort->name == key.partition.name) {
    return ValidationError(
        "Both the Hash Key and the Range Key element in the KeySchema have the same name");
  }
  return ValidateKeyAttribute(*key.sort, definitions);
}

absl::Status ValidateProjection(const IndexSchema& index) {
  const size_t named = index.non_key_attributes.size();
  if (index.projection == ProjectionType::kInclude) {
    if (named == 0) {
      return InvalidParameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified");
    }
  } else if (named != 0) {
    return InvalidParameter(absl::StrCat(
        "ProjectionType is ", index.projection == ProjectionType::kAll ? "ALL" : "KEYS_ONLY",
        ", but NonKeyAttributes is specified"));
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (const std::string& name : index.non_key_attributes) {
    if (name.empty() || name.size() > kKeyNameBytesMax || !seen.insert(name).second) {
      return InvalidParameter(
          absl::StrCat("NonKeyAttributes are empty, too long or named twice: '", name, "'"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateLocalIndex(const TableSchema& table, const IndexSchema& index) {
  if (!table.key.sort.has_value()) {
    return InvalidParameter(
        "Table KeySchema does not have a range key, which is required when specifying a "
        "LocalSecondaryIndex");
  }
  if (!index.key.sort.has_value()) {
    return InvalidParameter(
        absl::StrCat("Index KeySchema does not have a range key for index: ", index.name));
  }
  if (index.key.partition.name != table.key.partition.name) {
    return InvalidParameter(absl::StrCat(
        "Index KeySchema does not have the same leading hash key as table KeySchema for index: ",
        index.name, ". index hash key: ", index.key.partition.name,
        ", table hash key: ", table.key.partition.name));
  }
  return absl::OkStatus();
}

absl::Status ValidateIndexes(const TableSchema& table, Definitions* definitions) {
  if (table.local_indexes.size() > kLocalIndexesMax) {
    return InvalidParameter("Number of LocalSecondaryIndexes exceeds per-table limit of 5");
  }
  if (table.global_indexes.size() > kGlobalIndexesMax) {
    return InvalidParameter("GlobalSecondaryIndex count exceeds the per-table limit of 20");
  }
  absl::flat_hash_set<absl::string_view> names;
  size_t non_key_attributes = 0;
  for (const auto* indexes : {&table.local_indexes, &table.global_indexes}) {
    for (const IndexSchema& index : *indexes) {
      RETURN_IF_ERROR(ValidateName(index.name, "IndexName"));
      if (!names.insert(index.name).second) {
        return InvalidParameter(absl::StrCat("Duplicate index name: ", index.name));
      }
      RETURN_IF_ERROR(ValidateKeySchema(index.key, definitions));
      RETURN_IF_ERROR(ValidateProjection(index));
      if (indexes == &table.local_indexes) RETURN_IF_ERROR(ValidateLocalIndex(table, index));
      non_key_attributes += index.non_key_attributes.size();
    }
  }
  if (non_key_attributes > kNonKeyAttributesMax) {
    return InvalidParameter(absl::StrCat("NonKeyAttributes of all indexes together are ",
                                         non_key_attributes, "; at most ", kNonKeyAttributesMax,
                                         " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status ValidateIndexKeyValue(const IndexSchema& index, const KeyAttribute& attribute,
                                   bool is_partition_key, const Item& item) {
  const AttributeValue* value = item.Find(attribute.name);
  if (value == nullptr) return absl::OkStatus();  // not in this index
  if (value->type() != attribute.type) {
    return InvalidParameter(absl::StrCat(
        "Type mismatch for Index Key ", attribute.name, " Expected: ", TypeName(attribute.type),
        " Actual: ", TypeName(value->type()), " IndexName: ", index.name));
  }
  if (attribute.type != AttributeType::kNumber && value->bytes().empty()) {
    return ValidationError(absl::StrCat(
        "One or more parameter values are not valid. A value specified for a secondary index key "
        "is not supported. The AttributeValue for a key attribute cannot contain an empty ",
        value->is_string() ? "string" : "binary", " value. IndexName: ", index.name,
        ", IndexKey: ", attribute.name));
  }
  return ValidateKeyBytes(attribute, *value, is_partition_key);
}

absl::Status ValidateIndexKeys(const std::vector<IndexSchema>& indexes, const Item& item) {
  for (const IndexSchema& index : indexes) {
    RETURN_IF_ERROR(ValidateIndexKeyValue(index, index.key.partition, true, item));
    if (index.key.sort.has_value()) {
      RETURN_IF_ERROR(ValidateIndexKeyValue(index, *index.key.sort, false, item));
    }
  }
  return absl::OkStatus();
}

// The value of a key attribute of an item that is to be stored.
absl::StatusOr<const AttributeValue*> FindKeyInItem(const KeyAttribute& attribute, const Item& item,
                                                    bool is_partition_key) {
  const AttributeValue* value = item.Find(attribute.name);
  if (value == nullptr) {
    return InvalidParameter(absl::StrCat("Missing the key ", attribute.name, " in the item"));
  }
  if (value->type() != attribute.type) {
    return InvalidParameter(absl::StrCat("Type mismatch for key ", attribute.name,
                                         " expected: ", TypeName(attribute.type),
                                         " actual: ", TypeName(value->type())));
  }
  RETURN_IF_ERROR(ValidateKeyBytes(attribute, *value, is_partition_key));
  return value;
}

}  // namespace

absl::Status ValidateName(absl::string_view name, absl::string_view field) {
  if (name.size() < kNameBytesMin || name.size() > kNameBytesMax) {
    return ValidationError(
        absl::StrCat(field, " must be at least 3 characters long and at most 255 characters long"));
  }
  for (const char c : name) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.') {
      continue;
    }
    std::string parameter(field);
    parameter[0] = absl::ascii_tolower(static_cast<unsigned char>(parameter[0]));
    return ValidationError(absl::StrCat(
        "1 validation error detected: Value '", name, "' at '", parameter,
        "' failed to satisfy constraint: Member must satisfy regular expression pattern: "
        "[a-zA-Z0-9_.-]+"));
  }
  return absl::OkStatus();
}

absl::Status ValidateKeyBytes(const KeyAttribute& attribute, const AttributeValue& value,
                              bool is_partition_key) {
  if (value.is_number()) return absl::OkStatus();
  const size_t bytes = value.bytes().size();
  if (bytes == 0) {
    return ValidationError(absl::StrCat(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
        "contain an empty ",
        value.is_string() ? "string" : "binary", " value. Key: ", attribute.name));
  }
  if (is_partition_key && bytes > kPartitionKeyBytesMax) {
    return InvalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes");
  }
  if (!is_partition_key && bytes > kSortKeyBytesMax) {
    return InvalidParameter(
        "Aggregated size of all range keys has exceeded the size limit of 1024 bytes");
  }
  return absl::OkStatus();
}

absl::Status TableSchema::Validate() const {
  RETURN_IF_ERROR(ValidateName(name, "TableName"));
  Definitions definitions;
  RETURN_IF_ERROR(ValidateKeySchema(key, &definitions));
  return ValidateIndexes(*this, &definitions);
}

absl::StatusOr<KeyView> TableSchema::ValidateKey(const Item& key_item) const {
  KeyView view;
  if (key_item.size() != (key.sort.has_value() ? 2u : 1u)) return KeyMismatch();
  view.partition = key_item.Find(key.partition.name);
  if (view.partition == nullptr || view.partition->type() != key.partition.type) {
    return KeyMismatch();
  }
  if (key.sort.has_value()) {
    view.sort = key_item.Find(key.sort->name);
    if (view.sort == nullptr || view.sort->type() != key.sort->type) return KeyMismatch();
  }
  RETURN_IF_ERROR(ValidateKeyBytes(key.partition, *view.partition, true));
  if (view.sort != nullptr) RETURN_IF_ERROR(ValidateKeyBytes(*key.sort, *view.sort, false));
  return view;
}

absl::StatusOr<KeyView> TableSchema::ValidateItemKeys(const Item& item) const {
  KeyView view;
  ASSIGN_OR_RETURN(view.partition, FindKeyInItem(key.partition, item, true));
  if (key.sort.has_value()) {
    ASSIGN_OR_RETURN(view.sort, FindKeyInItem(*key.sort, item, false));
  }
  RETURN_IF_ERROR(ValidateIndexKeys(global_indexes, item));
  RETURN_IF_ERROR(ValidateIndexKeys(local_indexes, item));
  return view;
}

KeyView TableSchema::KeyOf(const Item& item) const {
  KeyView view;
  view.partition = item.Find(key.partition.name);
  CHECK(view.partition != nullptr) << "an item of " << name << " without " << key.partition.name;
  if (key.sort.has_value()) {
    view.sort = item.Find(key.sort->name);
    CHECK(view.sort != nullptr) << "an item of " << name << " without " << key.sort->name;
  }
  return view;
}

Item TableSchema::CopyKey(const KeyView& view) const {
  Item item;
  item.Set(key.partition.name, *view.partition);
  if (key.sort.has_value()) item.Set(key.sort->name, *view.sort);
  return item;
}

}  // namespace ringleader::model
