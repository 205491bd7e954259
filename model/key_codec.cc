#include "model/key_codec.h"

#include <bit>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::model {
namespace {

constexpr char kNumberTag = 0x02;
constexpr char kBinaryTag = 0x03;
constexpr char kStringTag = 0x04;
constexpr char kEscape = 0x00;
constexpr char kEscapedZero = '\xff';
constexpr char kEnd = 0x01;
constexpr char kComponentEnd[] = {kEscape, kEnd};
constexpr size_t kTableAt = 1;
constexpr size_t kTokenAt = 9;
constexpr size_t kPrefixBytes = 17;

char TagOf(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return kStringTag;
    case AttributeType::kNumber:
      return kNumberTag;
    case AttributeType::kBinary:
      return kBinaryTag;
    default:
      CHECK(false) << "a key attribute of type " << TypeName(type);
      __builtin_unreachable();
  }
}

uint64_t BigEndian(uint64_t value) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

void WriteBigEndian(uint64_t value, char* to) {
  value = BigEndian(value);
  std::memcpy(to, &value, sizeof(value));
}

uint64_t ReadBigEndian(absl::string_view bytes) {
  uint64_t value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return BigEndian(value);
}

void AppendEscaped(absl::string_view bytes, std::string* out) {
  while (!bytes.empty()) {
    const void* zero = std::memchr(bytes.data(), 0, bytes.size());
    if (zero == nullptr) break;
    const size_t before = static_cast<const char*>(zero) - bytes.data();
    out->append(bytes.data(), before);
    out->push_back(kEscape);
    out->push_back(kEscapedZero);
    bytes.remove_prefix(before + 1);
  }
  out->append(bytes.data(), bytes.size());
}

bool ConsumeEscaped(absl::string_view* in, std::string* bytes) {
  for (;;) {
    const size_t zero = in->find('\0');
    if (zero == absl::string_view::npos || zero + 1 == in->size()) return false;
    bytes->append(in->data(), zero);
    const char next = (*in)[zero + 1];
    in->remove_prefix(zero + 2);
    if (next == kEnd) return true;
    if (next != kEscapedZero) return false;
    bytes->push_back('\0');
  }
}

bool ConsumeComponent(absl::string_view* in, AttributeValue* value) {
  if (in->empty()) return false;
  const char tag = in->front();
  in->remove_prefix(1);
  if (tag == kNumberTag) {
    Decimal number;
    if (!Decimal::ConsumeOrdered(in, &number)) return false;
    *value = AttributeValue::Number(number);
    return true;
  }
  if (tag != kBinaryTag && tag != kStringTag) return false;
  std::string bytes;
  if (!ConsumeEscaped(in, &bytes)) return false;
  *value = tag == kStringTag ? AttributeValue::String(std::move(bytes))
                             : AttributeValue::Binary(std::move(bytes));
  return true;
}

// Room for most components: an escaped zero costs a byte more, and then the string grows.
size_t LikelyComponentBytes(const AttributeValue* value) {
  if (value == nullptr) return 0;
  return value->is_number() ? 1 + Decimal::kOrderedBytesMax : value->bytes().size() + 3;
}

void AppendPrefix(TableId id, Token token, std::string* out) {
  char prefix[kPrefixBytes];
  prefix[0] = static_cast<char>(KeySpace::kItem);
  WriteBigEndian(id, prefix + kTableAt);
  WriteBigEndian(token, prefix + kTokenAt);
  out->append(prefix, kPrefixBytes);
}

std::string Joined(absl::string_view prefix, const AttributeValue& value) {
  std::string key(prefix);
  AppendKeyComponent(value, &key);
  return key;
}

// S and B by bytes, N by value; of one type.
int Compare(const AttributeValue& a, const AttributeValue& b) {
  if (!a.is_number()) return a.bytes().compare(b.bytes());
  const std::strong_ordering order = a.number() <=> b.number();
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

}  // namespace

void AppendKeyComponent(const AttributeValue& value, std::string* out) {
  out->push_back(TagOf(value.type()));
  if (value.is_number()) {
    value.number().AppendOrdered(out);
    return;
  }
  AppendEscaped(value.bytes(), out);
  out->append(kComponentEnd, sizeof(kComponentEnd));
}

Token TokenOfKey(TableId table, const AttributeValue& partition_key) {
  std::string component;
  AppendKeyComponent(partition_key, &component);
  return TokenOf(table, component);
}

std::string EncodeItemKey(TableId table, const KeyView& key) {
  std::string out;
  out.reserve(kPrefixBytes + LikelyComponentBytes(key.partition) + LikelyComponentBytes(key.sort));
  EncodeItemKeyTo(table, key, &out);
  return out;
}

void EncodeItemKeyTo(TableId table, const KeyView& key, std::string* out) {
  out->clear();
  AppendPrefix(table, 0, out);
  AppendKeyComponent(*key.partition, out);
  // The token is of the component just written: put it where it belongs.
  const absl::string_view component = absl::string_view(*out).substr(kPrefixBytes);
  WriteBigEndian(TokenOf(table, component), out->data() + kTokenAt);
  if (key.sort != nullptr) AppendKeyComponent(*key.sort, out);
}

TableId TableInKey(absl::string_view key) {
  CHECK(key.size() >= kPrefixBytes);
  return ReadBigEndian(key.substr(kTableAt));
}

Token TokenInKey(absl::string_view key) {
  CHECK(key.size() >= kPrefixBytes);
  return ReadBigEndian(key.substr(kTokenAt));
}

std::string EncodeKeyAt(TableId id, Token token, const KeyView& key) {
  std::string out = EncodePartitionPrefix(id, token, *key.partition);
  if (key.sort != nullptr) AppendKeyComponent(*key.sort, &out);
  return out;
}

std::string EncodePartitionPrefix(TableId id, Token token, const AttributeValue& partition_key) {
  std::string out;
  out.reserve(kPrefixBytes + LikelyComponentBytes(&partition_key));
  AppendPrefix(id, token, &out);
  AppendKeyComponent(partition_key, &out);
  return out;
}

absl::StatusOr<DecodedKey> DecodeItemKey(absl::string_view key) {
  if (key.size() < kPrefixBytes || key.front() != static_cast<char>(KeySpace::kItem)) {
    return absl::DataLossError(
        absl::StrCat("a stored key of ", key.size(), " bytes does not begin as an item's key"));
  }
  DecodedKey decoded;
  decoded.table = TableInKey(key);
  decoded.token = TokenInKey(key);
  absl::string_view rest = key.substr(kPrefixBytes);
  if (!ConsumeComponent(&rest, &decoded.partition)) {
    return absl::DataLossError("a stored key's partition key is malformed");
  }
  if (rest.empty()) return decoded;
  if (!ConsumeComponent(&rest, &decoded.sort.emplace()) || !rest.empty()) {
    return absl::DataLossError("a stored key's sort key is malformed");
  }
  return decoded;
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

KeyRange TableRange(TableId table, const TokenRange& tokens) {
  KeyRange range;
  AppendPrefix(table, tokens.first, &range.start);
  AppendPrefix(table, tokens.last, &range.limit);
  range.limit = PrefixEnd(std::move(range.limit));
  return range;
}

KeyRange PartitionKeyRange(absl::string_view prefix) {
  return {std::string(prefix), PrefixEnd(std::string(prefix))};
}

KeyRange SortKeyRange(absl::string_view prefix, const SortCondition& condition) {
  using Operator = SortCondition::Operator;
  // The whole of the sort key's type: nothing else follows the prefix.
  std::string all(prefix);
  all.push_back(TagOf(condition.low.type()));
  const std::string low = Joined(prefix, condition.low);
  switch (condition.op) {
    case Operator::kEqual:
      return {low, PrefixEnd(low)};
    case Operator::kLess:
      return {all, low};
    case Operator::kLessOrEqual:
      return {all, PrefixEnd(low)};
    case Operator::kGreater:
      return {PrefixEnd(low), PrefixEnd(all)};
    case Operator::kGreaterOrEqual:
      return {low, PrefixEnd(all)};
    case Operator::kBetween:
      return {low, PrefixEnd(Joined(prefix, condition.high))};
    case Operator::kBeginsWith:
      AppendEscaped(condition.low.bytes(), &all);
      return {all, PrefixEnd(all)};
  }
  return {};
}

bool Satisfies(const AttributeValue& value, const SortCondition& condition) {
  using Operator = SortCondition::Operator;
  if (value.type() != condition.low.type()) return false;
  if (condition.op == Operator::kBeginsWith) {
    return absl::StartsWith(value.bytes(), condition.low.bytes());
  }
  const int order = Compare(value, condition.low);
  switch (condition.op) {
    case Operator::kEqual:
      return order == 0;
    case Operator::kLess:
      return order < 0;
    case Operator::kLessOrEqual:
      return order <= 0;
    case Operator::kGreater:
      return order > 0;
    case Operator::kGreaterOrEqual:
      return order >= 0;
    case Operator::kBetween:
      return order >= 0 && value.type() == condition.high.type() &&
             Compare(value, condition.high) <= 0;
    case Operator::kBeginsWith:
      break;
  }
  return false;
}

}  // namespace ringleader::model
