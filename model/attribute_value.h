// An attribute value: DynamoDB's ten types in one value.
//
//   AttributeValue name = AttributeValue::String("ada");
//   AttributeMap item;
//   item.Set("name", std::move(name));
//   if (const AttributeValue* found = item.Find("name"); found != nullptr && found->is_string())
//   ...
//
// Invariants:
//   1. A set is not empty, holds no two equal elements, and is sorted (bytes, or numbers by value).
//   2. A map's names are unique and sorted by their bytes.
// So equal values have equal members and one encoding. DynamoDB's sets and maps are unordered:
// order of insertion is not kept.
//
// Nesting: what comes from bytes or JSON is at most kLevelsMax deep, and an update nests at most
// two such values. Destruction and comparison don't recurse and are safe at any depth.
//
// A value type: owns what it holds, moves in constant time, copies deeply. Thread-compatible.
#ifndef RINGLEADER_MODEL_ATTRIBUTE_VALUE_H_
#define RINGLEADER_MODEL_ATTRIBUTE_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/decimal.h"

namespace ringleader::model {

class AttributeValue;
struct Attribute;

// In the order of AttributeValue's alternatives.
enum class AttributeType : uint8_t {
  kString,
  kNumber,
  kBinary,
  kBool,
  kNull,
  kMap,
  kList,
  kStringSet,
  kNumberSet,
  kBinarySet,
};

constexpr size_t TypeIndex(AttributeType type) { return static_cast<size_t>(type); }

// "S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS".
absl::string_view TypeName(AttributeType type);
// The type of that name; false if there is none.
bool TypeFromName(absl::string_view name, AttributeType* type);

// The most levels a value may have: a scalar has one, a list or map one more than its deepest
// element. An attribute of an item is at level 1, so a scalar in 31 nested lists is the deepest.
inline constexpr int kLevelsMax = 32;

// The error for more than kLevelsMax.
absl::Status NestedTooDeeply();

// Named values, sorted by name, in one flat vector: an M, and an item. An item has few attributes
// and is read far more often than changed, so finding is a binary search without hashing, and
// decoding allocates once.
class AttributeMap {
 public:
  using const_iterator = std::vector<Attribute>::const_iterator;

  // Defined where Attribute is complete.
  AttributeMap();
  ~AttributeMap();
  AttributeMap(const AttributeMap&);
  AttributeMap& operator=(const AttributeMap&);
  AttributeMap(AttributeMap&&) noexcept;
  AttributeMap& operator=(AttributeMap&&) noexcept;

  // Takes attributes in any order. An error if a name occurs twice.
  static absl::StatusOr<AttributeMap> FromUnsorted(std::vector<Attribute> attributes);

  // Null if there is none. Valid until the map changes.
  const AttributeValue* Find(absl::string_view name) const;
  AttributeValue* FindMutable(absl::string_view name);

  // Adds or replaces.
  void Set(absl::string_view name, AttributeValue value);
  // Removes; false if there was none.
  bool Erase(absl::string_view name);

  const_iterator begin() const;
  const_iterator end() const;
  size_t size() const;
  bool empty() const;

  friend bool operator==(const AttributeMap& a, const AttributeMap& b);

 private:
  friend class AttributeValue;
  friend class PackedReader;  // packed_item.cc
  std::vector<Attribute> attributes_;
};

class AttributeValue {
 private:
  template <AttributeType type, typename T>
  static AttributeValue Of(T&& content) {
    return AttributeValue(std::in_place_index<TypeIndex(type)>, std::forward<T>(content));
  }
  template <AttributeType type>
  decltype(auto) Get() const {
    CheckType(type);
    return (*std::get_if<TypeIndex(type)>(&data_));
  }
  template <AttributeType type>
  decltype(auto) GetMutable() {
    CheckType(type);
    return (*std::get_if<TypeIndex(type)>(&data_));
  }

 public:
  using List = std::vector<AttributeValue>;
  using StringSetElements = std::vector<std::string>;
  using NumberSetElements = std::vector<Decimal>;

  // NULL.
  AttributeValue() : data_(std::in_place_index<TypeIndex(AttributeType::kNull)>) {}
  ~AttributeValue() {
    if (is_container()) DestroyNested();
  }
  AttributeValue(const AttributeValue&) = default;
  AttributeValue& operator=(const AttributeValue&) = default;
  AttributeValue(AttributeValue&&) noexcept = default;
  AttributeValue& operator=(AttributeValue&&) noexcept = default;

  static AttributeValue String(std::string value) {
    return Of<AttributeType::kString>(std::move(value));
  }
  static AttributeValue Number(Decimal value) { return Of<AttributeType::kNumber>(value); }
  static AttributeValue Binary(std::string value) {
    return Of<AttributeType::kBinary>(std::move(value));
  }
  static AttributeValue Bool(bool value) { return Of<AttributeType::kBool>(value); }
  static AttributeValue Null() { return AttributeValue(); }
  static AttributeValue FromMap(AttributeMap value) {
    return Of<AttributeType::kMap>(std::move(value));
  }
  static AttributeValue FromList(List value) { return Of<AttributeType::kList>(std::move(value)); }
  // Sets, from elements in any order. Errors, with DynamoDB's texts: no element, or a duplicate.
  static absl::StatusOr<AttributeValue> StringSet(std::vector<std::string> elements);
  static absl::StatusOr<AttributeValue> NumberSet(std::vector<Decimal> elements);
  static absl::StatusOr<AttributeValue> BinarySet(std::vector<std::string> elements);

  AttributeType type() const { return static_cast<AttributeType>(data_.index()); }
  bool is_string() const { return type() == AttributeType::kString; }
  bool is_number() const { return type() == AttributeType::kNumber; }
  bool is_binary() const { return type() == AttributeType::kBinary; }
  bool is_map() const { return type() == AttributeType::kMap; }
  bool is_list() const { return type() == AttributeType::kList; }
  bool is_set() const { return type() >= AttributeType::kStringSet; }
  bool is_container() const { return is_map() || is_list(); }

  // The content. The type must be that one (CHECK).
  const std::string& string() const { return Get<AttributeType::kString>(); }
  const Decimal& number() const { return Get<AttributeType::kNumber>(); }
  const std::string& binary() const { return Get<AttributeType::kBinary>(); }
  bool boolean() const { return Get<AttributeType::kBool>(); }
  const AttributeMap& map() const { return Get<AttributeType::kMap>(); }
  AttributeMap& map() { return GetMutable<AttributeType::kMap>(); }
  const List& list() const { return Get<AttributeType::kList>(); }
  List& list() { return GetMutable<AttributeType::kList>(); }
  const StringSetElements& string_set() const { return Get<AttributeType::kStringSet>(); }
  const NumberSetElements& number_set() const { return Get<AttributeType::kNumberSet>(); }
  const StringSetElements& binary_set() const { return Get<AttributeType::kBinarySet>(); }
  // Becomes an S or a B (CHECK) of these bytes, in place.
  void SetBytes(AttributeType type, absl::string_view bytes);
  // The bytes of an S or a B; the elements of an SS or a BS.
  const std::string& bytes() const { return is_string() ? string() : binary(); }
  const StringSetElements& byte_elements() const {
    return type() == AttributeType::kStringSet ? string_set() : binary_set();
  }

  // Same type and content; sets regardless of order, numbers by value.
  friend bool operator==(const AttributeValue& a, const AttributeValue& b);

 private:
  friend class PackedReader;  // packed_item.cc

  template <size_t index, typename... Content>
  explicit AttributeValue(std::in_place_index_t<index> type, Content&&... content)
      : data_(type, std::forward<Content>(content)...) {}

  void CheckType(AttributeType wanted) const {
    if (__builtin_expect(type() != wanted, 0)) FailType(wanted);
  }
  [[noreturn]] void FailType(AttributeType wanted) const;

  // Moves the lists and maps inside this one out, whatever their depth, so that no destructor
  // recurses more than one level.
  void DestroyNested();
  // Moves the non-empty lists and maps among its elements to `out`.
  void ReleaseNested(std::vector<AttributeValue>* out);

  std::variant<std::string, Decimal, std::string, bool, std::monostate, AttributeMap, List,
               StringSetElements, NumberSetElements, StringSetElements>
      data_;
};

struct Attribute {
  std::string name;
  AttributeValue value;
};

inline AttributeMap::AttributeMap() = default;
inline AttributeMap::~AttributeMap() = default;
inline AttributeMap::AttributeMap(const AttributeMap&) = default;
inline AttributeMap& AttributeMap::operator=(const AttributeMap&) = default;
inline AttributeMap::AttributeMap(AttributeMap&&) noexcept = default;
inline AttributeMap& AttributeMap::operator=(AttributeMap&&) noexcept = default;
inline AttributeMap::const_iterator AttributeMap::begin() const { return attributes_.begin(); }
inline AttributeMap::const_iterator AttributeMap::end() const { return attributes_.end(); }
inline size_t AttributeMap::size() const { return attributes_.size(); }
inline bool AttributeMap::empty() const { return attributes_.empty(); }

// The levels of a value (see kLevelsMax), or kLevelsMax + 1 as soon as there are more than that.
int Levels(const AttributeValue& value);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_ATTRIBUTE_VALUE_H_
