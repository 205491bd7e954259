// LevelDB's view of bytes and ours: neither copies.
#ifndef RINGLEADER_NODE_LEVELDB_SLICE_H_
#define RINGLEADER_NODE_LEVELDB_SLICE_H_

#include <leveldb/slice.h>

#include "absl/strings/string_view.h"

namespace ringleader {

inline leveldb::Slice SliceOf(absl::string_view text) {
  return leveldb::Slice(text.data(), text.size());
}

inline absl::string_view ViewOf(const leveldb::Slice& slice) {
  return absl::string_view(slice.data(), slice.size());
}

}  // namespace ringleader

#endif  // RINGLEADER_NODE_LEVELDB_SLICE_H_
