#include "model/key_paths.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

// The first key attribute that one of the paths begins with, of those that `counts` holds for; null
// if there is none.
template <typename Counts>
const std::string* FirstNamed(const KeySchema& key, const std::vector<const Path*>& paths,
                              const Counts& counts) {
  const auto is_named = [&](const KeyAttribute& attribute) {
    return std::any_of(paths.begin(), paths.end(), [&](const Path* path) {
      return path->front().name == attribute.name && counts(*path);
    });
  };
  if (is_named(key.partition)) return &key.partition.name;
  if (key.sort.has_value() && is_named(*key.sort)) return &key.sort->name;
  return nullptr;
}

}  // namespace

absl::Status ValidateKeyPaths(const KeySchema& key, const std::vector<const Path*>& paths) {
  const std::string* name =
      FirstNamed(key, paths, [](const Path& path) { return path.size() > 1; });
  if (name == nullptr) return absl::OkStatus();
  return ValidationError(
      absl::StrCat("Key attributes must be scalars; list random access '[]' and map lookup '.' are "
                   "not allowed: Key: ",
                   *name));
}

absl::Status ValidateFilterPaths(const KeySchema& key, const std::vector<const Path*>& paths) {
  const std::string* name = FirstNamed(key, paths, [](const Path&) { return true; });
  if (name == nullptr) return absl::OkStatus();
  return ValidationError(
      absl::StrCat("Filter Expression can only contain non-primary key attributes: Primary key "
                   "attribute: ",
                   *name));
}

}  // namespace ringleader::model
