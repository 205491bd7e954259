#include "model/expression_parser.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/status.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

// Words of the grammar: as names they don't even parse.
bool IsKeyword(absl::string_view word, ExpressionKind kind) {
  static constexpr absl::string_view kConditionWords[] = {"AND", "BETWEEN", "IN", "NOT", "OR"};
  static constexpr absl::string_view kUpdateWords[] = {"ADD", "DELETE", "REMOVE", "SET"};
  const auto among = [word](absl::Span<const absl::string_view> words) {
    return std::any_of(words.begin(), words.end(), [word](absl::string_view keyword) {
      return absl::EqualsIgnoreCase(word, keyword);
    });
  };
  if (kind == ExpressionKind::kProjection) return false;
  return kind == ExpressionKind::kUpdate ? among(kUpdateWords) : among(kConditionWords);
}

// All functions there are.
bool IsFunction(absl::string_view name) {
  static constexpr absl::string_view kNames[] = {
      "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with",
      "contains",         "if_not_exists",        "list_append",    "size"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// The kind with its article, in the words of the errors.
absl::string_view KindInWords(ExpressionKind kind) {
  switch (kind) {
    case ExpressionKind::kCondition:
      return "a condition expression";
    case ExpressionKind::kFilter:
      return "a filter expression";
    case ExpressionKind::kKeyCondition:
      return "a key condition expression";
    case ExpressionKind::kProjection:
      return "a projection expression";
    case ExpressionKind::kUpdate:
      return "an update expression";
  }
  return "";
}

}  // namespace

ExpressionParser::ExpressionParser(absl::string_view text, ExpressionKind kind,
                                   Placeholders* placeholders)
    : text_(text),
      kind_(kind),
      placeholders_(placeholders),
      // What is too long is refused by CheckText and never lexed.
      tokens_(Lex(text.size() <= kExpressionBytesMax ? text : absl::string_view())) {}

bool ExpressionParser::NextIsWord(absl::string_view upper_case_word) const {
  return next().kind == TokenKind::kIdentifier &&
         absl::EqualsIgnoreCase(next().text, upper_case_word);
}

bool ExpressionParser::NextIsKeyword() const {
  return next().kind == TokenKind::kIdentifier && IsKeyword(next().text, kind_);
}

bool ExpressionParser::Accept(absl::string_view punctuation) {
  if (!NextIs(punctuation)) return false;
  Advance();
  return true;
}

bool ExpressionParser::AcceptWord(absl::string_view upper_case_word) {
  if (!NextIsWord(upper_case_word)) return false;
  Advance();
  return true;
}

absl::Status ExpressionParser::Expect(absl::string_view punctuation) {
  return Accept(punctuation) ? absl::OkStatus() : SyntaxError();
}

absl::Status ExpressionParser::CheckText() const {
  if (text_.size() > kExpressionBytesMax) {
    // Measured on the service: only these two kinds tell the size.
    const bool tells = kind_ == ExpressionKind::kCondition || kind_ == ExpressionKind::kFilter;
    return Error(absl::StrCat("Expression size has exceeded the maximum allowed size;",
                              tells ? absl::StrCat(" expression size: ", text_.size()) : ""));
  }
  if (AtEnd()) return Error("The expression can not be empty;");
  return absl::OkStatus();
}

absl::Status ExpressionParser::SyntaxError() const {
  // "near" is the token with its neighbours, as written.
  const LexedToken& token = next();
  const LexedToken& from = tokens_[at_ == 0 ? 0 : at_ - 1];
  const LexedToken& to = after_next();
  const size_t end = to.begin + to.text.size();
  return Error(absl::StrCat(
      "Syntax error; token: \"", token.kind == TokenKind::kEnd ? "<EOF>" : token.text,
      "\", near: \"",
      absl::StripTrailingAsciiWhitespace(text_.substr(from.begin, end - from.begin)), "\""));
}

absl::Status ExpressionParser::Error(absl::string_view message) const {
  return ValidationError(absl::StrCat("Invalid ", KindName(kind_), ": ", message));
}

void ExpressionParser::Note(ErrorSlot slot, std::string message) {
  std::string& error = errors_[static_cast<size_t>(slot)];
  if (error.empty()) error = std::move(message);
}

void ExpressionParser::FinishLeaf() {
  for (const ErrorSlot slot :
       {ErrorSlot::kName, ErrorSlot::kValue, ErrorSlot::kOperand, ErrorSlot::kFunction}) {
    std::string& error = errors_[static_cast<size_t>(slot)];
    if (!error.empty()) Note(ErrorSlot::kCondition, std::move(error));
    error.clear();
  }
}

void ExpressionParser::NoteUnknownFunction(absl::string_view name) {
  Note(ErrorSlot::kUnknownFunction, IsFunction(name)
                                        ? absl::StrCat("The function is not allowed in ",
                                                       KindInWords(kind_), "; function: ", name)
                                        : absl::StrCat("Invalid function name; function: ", name));
}

void ExpressionParser::NoteMisusedFunction(absl::string_view name) {
  Note(ErrorSlot::kMisusedFunction,
       absl::StrCat("The function is not allowed to be used this way in an expression; function: ",
                    name));
}

absl::Status ExpressionParser::NotedError() const {
  for (const std::string& error : errors_) {
    if (!error.empty()) return Error(error);
  }
  return absl::OkStatus();
}

void ExpressionParser::CountOperator() {
  if (++operators_ == kOperatorsMax + 1) {
    Note(ErrorSlot::kLimit,
         absl::StrCat("The expression contains too many operators; operator count: ", operators_));
  }
}

absl::Status ExpressionParser::Enter() {
  if (++levels_ <= kExpressionLevelsMax) return absl::OkStatus();
  return Error(absl::StrCat("The expression is nested too deeply; at most ", kExpressionLevelsMax,
                            " levels are allowed"));
}

absl::Status ExpressionParser::ParsePath(Path* path) {
  RETURN_IF_ERROR(ParseName(path));
  for (;;) {
    if (NextIs("[")) {
      RETURN_IF_ERROR(ParseIndex(path));
    } else if (Accept(".")) {
      RETURN_IF_ERROR(ParseName(path));
    } else {
      break;
    }
  }
  if (path->size() > kPathElementsMax) {
    Note(ErrorSlot::kLimit,
         absl::StrCat("The document path has too many nesting elements; nesting levels: ",
                      path->size()));
  }
  return absl::OkStatus();
}

absl::Status ExpressionParser::ParseName(Path* path) {
  PathElement element;
  const LexedToken token = next();
  if (token.kind == TokenKind::kIdentifier) {
    if (IsKeyword(token.text, kind_)) return SyntaxError();
    if (IsReservedWord(token.text)) {
      const bool late = kind_ != ExpressionKind::kUpdate && kind_ != ExpressionKind::kProjection;
      Note(late ? ErrorSlot::kReservedInCondition : ErrorSlot::kReserved,
           absl::StrCat("Attribute name is a reserved keyword; reserved keyword: ", token.text));
    }
    element.name = std::string(token.text);
  } else if (token.kind == TokenKind::kName) {
    const std::string* name = placeholders_->Name(token.text);
    if (name == nullptr) {
      Note(ErrorSlot::kName,
           absl::StrCat("An expression attribute name used in the document path is not defined; "
                        "attribute name: ",
                        token.text));
    }
    element.name = name == nullptr ? std::string(token.text) : *name;
  } else {
    return SyntaxError();
  }
  Advance();
  path->push_back(std::move(element));
  return absl::OkStatus();
}

absl::Status ExpressionParser::ParseIndex(Path* path) {
  RETURN_IF_ERROR(Expect("["));
  if (next().kind != TokenKind::kInteger) return SyntaxError();
  PathElement element;
  element.is_index = true;
  if (!absl::SimpleAtoi(next().text, &element.index)) {
    Note(ErrorSlot::kLimit,
         absl::StrCat("List index is not within the allowable range; index: [", next().text, "]"));
  }
  Advance();
  path->push_back(std::move(element));
  return Expect("]");
}

const AttributeValue* ExpressionParser::TakeValue() {
  const absl::string_view name = next().text;
  const AttributeValue* value = placeholders_->Value(name);
  if (value == nullptr) {
    Note(ErrorSlot::kValue,
         absl::StrCat("An expression attribute value used in expression is not defined; attribute "
                      "value: ",
                      name));
  }
  Advance();
  return value;
}

}  // namespace ringleader::model
