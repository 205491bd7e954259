// Expression text to tokens. White space separates tokens and is otherwise ignored. Thread-safe.
#ifndef RINGLEADER_MODEL_EXPRESSION_LEXER_H_
#define RINGLEADER_MODEL_EXPRESSION_LEXER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringleader::model {

enum class TokenKind : uint8_t {
  kEnd,
  kIdentifier,   // letter, then letters, digits, _
  kName,         // #name
  kValue,        // :value
  kInteger,      // digits
  kPunctuation,  // ( ) [ ] , . + - = <> < <= > >=
  kInvalid,      // one byte that begins no token; no parser accepts it
};

struct LexedToken {
  TokenKind kind = TokenKind::kEnd;
  absl::string_view text;  // in the expression; "" at the end
  size_t begin = 0;        // offset of `text`
};

// All tokens, the last one kEnd. They point into `expression`.
std::vector<LexedToken> Lex(absl::string_view expression);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_EXPRESSION_LEXER_H_
