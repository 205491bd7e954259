// Projection expressions: `path, path, ...`, and the part of an item that a set of paths names.
//
// Immutable after parsing; thread-safe.
#ifndef RINGLEADER_MODEL_PROJECTION_H_
#define RINGLEADER_MODEL_PROJECTION_H_

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/expression.h"
#include "model/item.h"

namespace ringleader::model {

class Projection {
 public:
  static absl::StatusOr<Projection> Parse(absl::string_view text, Placeholders* placeholders);

  // The paths of an update, for what UPDATED_OLD and UPDATED_NEW return. They neither overlap nor
  // conflict.
  explicit Projection(std::vector<Path> paths);

  // What the paths name, in its maps and lists; paths that lead nowhere are left out. Elements of a
  // list follow each other in their order, without gaps.
  Item Apply(const Item& item) const;

  // Sorted.
  const std::vector<Path>& paths() const { return paths_; }

 private:
  std::vector<Path> paths_;
};

// Overlaps and conflicts between any two paths: the first in the order of `paths`, in the words of
// CheckPathPair; overlaps before conflicts. `overlap` says which of the two it is.
absl::Status CheckPaths(const std::vector<Path>& paths, bool* overlap);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_PROJECTION_H_
