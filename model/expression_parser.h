// What the parsers of conditions, updates and projections share: tokens, syntax errors, document
// paths, placeholders, and errors by precedence. Internal to model/.
//
// A syntax error ends parsing. Any other error is noted in a slot, and when the whole expression
// has been read the first error of the first slot that has one is reported: so DynamoDB orders its
// checks.
#ifndef RINGLEADER_MODEL_EXPRESSION_PARSER_H_
#define RINGLEADER_MODEL_EXPRESSION_PARSER_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/expression.h"
#include "model/expression_lexer.h"

namespace ringleader::model {

// In the order in which they are reported; conditions report some leaf by leaf, see FinishLeaf.
enum class ErrorSlot : uint8_t {
  kParentheses,
  kLimit,
  kReserved,
  kUnknownFunction,
  kMisusedFunction,
  kReservedInCondition,
  kSection,
  kName,
  kValue,
  kOverlap,
  kConflict,
  kOperand,
  kFunction,
  kCondition,
  kCount,
};

class ExpressionParser {
 public:
  ExpressionParser(absl::string_view text, ExpressionKind kind, Placeholders* placeholders);

  const LexedToken& next() const { return tokens_[at_]; }
  const LexedToken& after_next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool AtEnd() const { return next().kind == TokenKind::kEnd; }
  void Advance() {
    if (!AtEnd()) ++at_;
  }
  bool NextIs(absl::string_view punctuation) const {
    return next().kind == TokenKind::kPunctuation && next().text == punctuation;
  }
  // A word of this kind's grammar, which cannot be a name.
  bool NextIsKeyword() const;
  // One given word, in any case.
  bool NextIsWord(absl::string_view upper_case_word) const;
  bool Accept(absl::string_view punctuation);
  bool AcceptWord(absl::string_view upper_case_word);
  absl::Status Expect(absl::string_view punctuation);

  // Empty, or too long: before anything else.
  absl::Status CheckText() const;
  // The text does not parse at the next token.
  absl::Status SyntaxError() const;
  // With "Invalid ...Expression: " before it.
  absl::Status Error(absl::string_view message) const;

  // Notes an error; the first in a slot stays.
  void Note(ErrorSlot slot, std::string message);
  bool HasError(ErrorSlot slot) const { return !errors_[static_cast<size_t>(slot)].empty(); }
  // After each leaf of a condition: what was noted in kName, kValue, kOperand and kFunction since
  // the last leaf becomes kCondition, so that the first leaf with an error decides, not the first
  // slot.
  void FinishLeaf();
  // A function that this kind of expression doesn't have, but maybe the other: conditions and
  // updates have functions of their own.
  void NoteUnknownFunction(absl::string_view name);
  // A function in a place where its result can't be.
  void NoteMisusedFunction(absl::string_view name);
  // The error to report, or OK.
  absl::Status NotedError() const;

  // An operator or a function was read.
  void CountOperator();
  // Guards recursion: fails, and ends parsing, beyond kExpressionLevelsMax.
  absl::Status Enter();
  void Leave() { --levels_; }

  // Names may be written out or be placeholders; what cannot be resolved is noted.
  absl::Status ParsePath(Path* path);
  // Takes a :value token; null and noted if it is not defined.
  const AttributeValue* TakeValue();

 private:
  absl::Status ParseName(Path* path);
  absl::Status ParseIndex(Path* path);

  const absl::string_view text_;
  const ExpressionKind kind_;
  Placeholders* const placeholders_;
  const std::vector<LexedToken> tokens_;
  size_t at_ = 0;
  int operators_ = 0;
  int levels_ = 0;
  std::array<std::string, static_cast<size_t>(ErrorSlot::kCount)> errors_;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_EXPRESSION_PARSER_H_
