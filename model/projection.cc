#include "model/projection.h"

#include <algorithm>

#include "absl/types/span.h"
#include "common/status.h"
#include "model/expression_parser.h"

namespace ringleader::model {
namespace {

// Sorted paths that agree on their first `depth` steps.
using Group = absl::Span<const Path>;

// The paths at the front that also agree on the next step.
Group FrontGroup(Group paths, size_t depth) {
  size_t count = 1;
  while (count < paths.size() && paths[count][depth] == paths[0][depth]) ++count;
  return paths.subspan(0, count);
}

// The part of `value` that the paths name beyond `depth`; false if there is none. Recursion is
// bounded by kPathElementsMax.
bool Select(const AttributeValue& value, Group paths, size_t depth, AttributeValue* out) {
  if (paths[0].size() == depth) {
    *out = value;
    return true;
  }
  if (paths[0][depth].is_index ? !value.is_list() : !value.is_map()) return false;
  AttributeMap map;
  AttributeValue::List list;
  while (!paths.empty()) {
    const Group group = FrontGroup(paths, depth);
    paths.remove_prefix(group.size());
    const PathElement& step = group[0][depth];
    const AttributeValue* child = nullptr;
    if (!step.is_index) {
      child = value.map().Find(step.name);
    } else if (step.index < value.list().size()) {
      child = &value.list()[step.index];
    }
    AttributeValue selected;
    if (child == nullptr || !Select(*child, group, depth + 1, &selected)) continue;
    if (step.is_index) {
      list.push_back(std::move(selected));
    } else {
      map.Set(step.name, std::move(selected));
    }
  }
  if (map.empty() && list.empty()) return false;
  *out = list.empty() ? AttributeValue::FromMap(std::move(map))
                      : AttributeValue::FromList(std::move(list));
  return true;
}

}  // namespace

absl::Status CheckPaths(const std::vector<Path>& paths, bool* overlap) {
  // In a sorted list, paths that overlap or conflict make neighbours that do: the usual case, that
  // there are none, takes no look at all pairs.
  std::vector<const Path*> sorted;
  sorted.reserve(paths.size());
  for (const Path& path : paths) sorted.push_back(&path);
  std::sort(sorted.begin(), sorted.end(), [](const Path* a, const Path* b) { return *a < *b; });
  const auto clash = [](const Path* a, const Path* b) { return !CheckPathPair(*a, *b).ok(); };
  if (std::adjacent_find(sorted.begin(), sorted.end(), clash) == sorted.end()) {
    return absl::OkStatus();
  }
  absl::Status conflict;
  for (size_t second = 1; second < paths.size(); ++second) {
    for (size_t first = 0; first < second; ++first) {
      if (paths[first].front() != paths[second].front()) continue;
      absl::Status status = CheckPathPair(paths[first], paths[second]);
      if (status.ok()) continue;
      const size_t common = std::min(paths[first].size(), paths[second].size());
      *overlap =
          std::equal(paths[first].begin(), paths[first].begin() + common, paths[second].begin());
      if (*overlap) return status;
      if (conflict.ok()) conflict = std::move(status);
    }
  }
  return conflict;
}

Projection::Projection(std::vector<Path> paths) : paths_(std::move(paths)) {
  std::sort(paths_.begin(), paths_.end());
}

absl::StatusOr<Projection> Projection::Parse(absl::string_view text, Placeholders* placeholders) {
  ExpressionParser parser(text, ExpressionKind::kProjection, placeholders);
  RETURN_IF_ERROR(parser.CheckText());
  std::vector<Path> paths;
  do {
    RETURN_IF_ERROR(parser.ParsePath(&paths.emplace_back()));
  } while (parser.Accept(","));
  if (!parser.AtEnd()) return parser.SyntaxError();
  RETURN_IF_ERROR(parser.NotedError());
  bool overlap;
  const absl::Status status = CheckPaths(paths, &overlap);
  if (!status.ok()) return parser.Error(status.message());
  return Projection(std::move(paths));
}

Item Projection::Apply(const Item& item) const {
  Item result;
  Group paths = paths_;
  while (!paths.empty()) {
    const Group group = FrontGroup(paths, 0);
    paths.remove_prefix(group.size());
    const std::string& name = group[0][0].name;
    const AttributeValue* value = item.Find(name);
    AttributeValue selected;
    if (value != nullptr && Select(*value, group, 1, &selected)) {
      result.Set(name, std::move(selected));
    }
  }
  return result;
}

}  // namespace ringleader::model
