// What DynamoDB's expressions have in common: their kinds, limits, document paths and placeholders.
//
//   Placeholders placeholders = *Placeholders::Make({{"#n", "name"}}, values);
//   Condition condition = *Condition::Parse("#n = :v", ExpressionKind::kCondition, &placeholders);
//   RETURN_IF_ERROR(placeholders.CheckAllUsed());
//   bool holds = condition.Holds(&item);
//
// Parsed expressions point into their Placeholders, which must outlive them and stay where they
// are. Errors are DynamoDB's ValidationException texts, in DynamoDB's order of checks as far as it
// is publicly known.
#ifndef RINGLEADER_MODEL_EXPRESSION_H_
#define RINGLEADER_MODEL_EXPRESSION_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"

namespace ringleader::model {

enum class ExpressionKind : uint8_t { kCondition, kFilter, kKeyCondition, kProjection, kUpdate };

// "ConditionExpression" and so on: the request parameter, as errors name it.
absl::string_view KindName(ExpressionKind kind);

inline constexpr size_t kExpressionBytesMax = 4096;  // before placeholders are resolved
inline constexpr int kOperatorsMax = 300;            // operators and functions of one expression
inline constexpr int kInOperandsMax = 100;           // after IN
inline constexpr int kExpressionLevelsMax = 320;     // parentheses and functions inside each other
inline constexpr size_t kPlaceholderBytesMax = 255;
inline constexpr size_t kPathElementsMax = kLevelsMax;  // of a document path
static_assert(kExpressionLevelsMax > kOperatorsMax,
              "deeper nesting than operators allow needs redundant parentheses");

// One step of a document path: an attribute's or map's name, or a list's index.
struct PathElement {
  std::string name;
  uint32_t index = 0;
  bool is_index = false;

  friend bool operator==(const PathElement&, const PathElement&) = default;
  friend std::strong_ordering operator<=>(const PathElement& a, const PathElement& b) {
    if (a.is_index != b.is_index) return a.is_index <=> b.is_index;
    if (a.is_index) return a.index <=> b.index;
    return a.name.compare(b.name) <=> 0;
  }
};

// a.b[0].c; never empty, begins with a name.
using Path = std::vector<PathElement>;

// "[a, b, [0]]", as errors show paths.
std::string PathText(const Path& path);

// The value at a path; null if any step is missing or of another type.
const AttributeValue* Resolve(const AttributeMap& item, const Path& path);

// Whether a path begins with another, or is it (overlap), or treats one value as a map where the
// other treats it as a list (conflict): neither may be in one update or projection.
absl::Status CheckPathPair(const Path& first, const Path& second);

// ExpressionAttributeNames and ExpressionAttributeValues of one request. Remembers which were used:
// not thread-safe while expressions are parsed.
class Placeholders {
 public:
  Placeholders() = default;
  Placeholders(Placeholders&&) = default;
  Placeholders& operator=(Placeholders&&) = default;

  // Names begin with '#', values with ':'; then at least one of a-z A-Z 0-9 _, together at most
  // kPlaceholderBytesMax. What a name stands for is as long as an attribute's name. Absent maps and
  // empty ones are told apart by the request's reader, not here.
  static absl::StatusOr<Placeholders> Make(std::vector<std::pair<std::string, std::string>> names,
                                           AttributeMap values);

  // Null if not defined. Marks it used.
  const std::string* Name(absl::string_view placeholder);
  const AttributeValue* Value(absl::string_view placeholder);

  // After all of a request's expressions were parsed: an error that names what none of them used.
  absl::Status CheckAllUsed() const;

 private:
  struct Named {
    std::string name;
    bool used = false;
  };
  absl::flat_hash_map<std::string, Named> names_;
  AttributeMap values_;
  std::vector<bool> values_used_;  // in the order of values_
};

// DynamoDB's 573 reserved words, without regard to case: they can't be written as names.
bool IsReservedWord(absl::string_view word);
size_t ReservedWordCount();

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_EXPRESSION_H_
