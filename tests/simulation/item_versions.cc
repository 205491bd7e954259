#include "tests/simulation/item_versions.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace ringleader::simulation {
namespace {

// Of two reads.
std::string CheckValues(const std::vector<SeenVersion>& seen) {
  std::map<uint64_t, int64_t> values;
  for (const SeenVersion& each : seen) {
    if (each.is_write) continue;
    const auto [known, fresh] = values.emplace(each.version, each.value);
    if (fresh || known->second == each.value) continue;
    return absl::StrCat("version ", each.version, " was read as ", known->second, " and as ",
                        each.value);
  }
  return "";
}

// A write is in an entry of its own time: what was answered before it began is in an earlier one.
std::string CheckOrder(const std::vector<SeenVersion>& seen) {
  std::vector<SeenVersion> by_call, by_return;
  for (const SeenVersion& each : seen) {
    if (!each.is_eventual) by_call.push_back(each);
  }
  by_return = by_call;
  std::sort(by_call.begin(), by_call.end(),
            [](const auto& a, const auto& b) { return a.call < b.call; });
  std::sort(by_return.begin(), by_return.end(),
            [](const auto& a, const auto& b) { return a.returned < b.returned; });
  uint64_t newest = 0;
  auto before = by_return.begin();
  for (const SeenVersion& each : by_call) {
    for (; before != by_return.end() && before->returned < each.call; ++before) {
      newest = std::max(newest, before->version);
    }
    if (each.is_write ? each.version > newest : each.version >= newest) continue;
    return absl::StrCat(each.is_write ? "a write" : "a read", " that began at ",
                        each.call / 1'000'000, " ms has version ", each.version, ", and version ",
                        newest, " was seen before");
  }
  return "";
}

}  // namespace

std::string CheckVersions(const std::vector<SeenVersion>& seen) {
  const std::string values = CheckValues(seen);
  return values.empty() ? CheckOrder(seen) : values;
}

}  // namespace ringleader::simulation
