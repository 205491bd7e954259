// Tokens: where a partition key lies on the ring.
//
// A token is XXH64 (Yann Collet, xxHash fast digest algorithm, revision 0.1.1) of the encoded
// partition key, seeded with the table id: every bit of key and id affects every bit of the token,
// so that equal token ranges carry equal numbers of keys. The function may not change: it places
// stored data. Thread-safe.
#ifndef RINGLEADER_MODEL_TOKEN_H_
#define RINGLEADER_MODEL_TOKEN_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace ringleader::model {

using Token = uint64_t;

// Tokens from first to last, both included: the whole ring can be said, and an empty range can't.
struct TokenRange {
  Token first = 0;
  Token last = UINT64_MAX;

  bool Contains(Token token) const { return first <= token && token <= last; }
  friend bool operator==(const TokenRange&, const TokenRange&) = default;
};

// XXH64 of any bytes.
uint64_t Xxh64(absl::string_view bytes, uint64_t seed);

// `encoded_partition_key` as key_codec.h writes it.
inline Token TokenOf(uint64_t table_id, absl::string_view encoded_partition_key) {
  return Xxh64(encoded_partition_key, table_id);
}

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_TOKEN_H_
