#include "model/expression_lexer.h"

#include "absl/strings/ascii.h"

namespace ringleader::model {
namespace {

bool IsLetter(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)); }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsNamePart(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

template <typename Accept>
size_t Run(absl::string_view text, size_t at, Accept accept) {
  while (at < text.size() && accept(text[at])) ++at;
  return at;
}

// The end of the token that begins at `at`, and its kind.
size_t EndOfToken(absl::string_view text, size_t at, TokenKind* kind) {
  const char first = text[at];
  if (IsLetter(first)) {
    *kind = TokenKind::kIdentifier;
    return Run(text, at, IsNamePart);
  }
  if (IsDigit(first)) {
    *kind = TokenKind::kInteger;
    return Run(text, at, IsDigit);
  }
  if (first == '#' || first == ':') {
    const size_t end = Run(text, at + 1, IsNamePart);
    *kind = end == at + 1  ? TokenKind::kInvalid
            : first == '#' ? TokenKind::kName
                           : TokenKind::kValue;
    return end;
  }
  *kind = TokenKind::kPunctuation;
  const char second = at + 1 < text.size() ? text[at + 1] : '\0';
  if ((first == '<' && (second == '=' || second == '>')) || (first == '>' && second == '=')) {
    return at + 2;
  }
  if (absl::string_view("()[],.+-=<>").find(first) == absl::string_view::npos) {
    *kind = TokenKind::kInvalid;
  }
  return at + 1;
}

}  // namespace

std::vector<LexedToken> Lex(absl::string_view expression) {
  std::vector<LexedToken> tokens;
  tokens.reserve(expression.size() / 3 + 1);
  size_t at = Run(expression, 0, IsSpace);
  while (at < expression.size()) {
    LexedToken token;
    const size_t end = EndOfToken(expression, at, &token.kind);
    token.text = expression.substr(at, end - at);
    token.begin = at;
    tokens.push_back(token);
    at = Run(expression, end, IsSpace);
  }
  tokens.push_back({TokenKind::kEnd, "", expression.size()});
  return tokens;
}

}  // namespace ringleader::model
