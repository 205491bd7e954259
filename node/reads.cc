#include "node/reads.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/error.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "model/key_condition.h"
#include "model/key_paths.h"
#include "node/evaluate.h"
#include "node/leveldb_slice.h"

namespace ringleader {
namespace {

using model::Item;

// What Query and Scan have in common.
struct PageRequest {
  model::Placeholders placeholders;
  std::optional<model::Condition> filter;
  std::optional<model::Projection> projection;
  model::KeyRange keys;
  bool backward = false;
  bool count_only = false;
  uint32_t limit = 0;
};

absl::Status ParseFilterAndProjection(const data::v1::Expressions& expressions, PageRequest* page) {
  if (!expressions.filter().empty()) {
    ASSIGN_OR_RETURN(page->filter,
                     model::Condition::Parse(expressions.filter(), model::ExpressionKind::kFilter,
                                             &page->placeholders));
  }
  if (!expressions.projection().empty()) {
    ASSIGN_OR_RETURN(page->projection,
                     model::Projection::Parse(expressions.projection(), &page->placeholders));
  }
  return page->placeholders.CheckAllUsed();
}

// A query's pages end at items that its key condition holds for. `keys` is what it reads.
absl::Status CheckQueryStart(const model::KeyView& start, const model::KeyCondition& condition,
                             const model::KeyRange& keys, const TableInfo& table) {
  const model::KeyView with_its_sort_key{.partition = &condition.partition, .sort = start.sort};
  if (condition.sort.has_value() &&
      !keys.Contains(model::EncodeItemKey(table.schema.id, with_its_sort_key))) {
    return model::ValidationError(
        "The provided starting key does not match the range key predicate");
  }
  if (*start.partition != condition.partition) {
    return model::ValidationError(
        "The provided starting key is outside query boundaries based on provided conditions");
  }
  return absl::OkStatus();
}

// Cuts off what the pages before have had. `condition` is a query's, and null for a scan.
absl::Status StartBehind(const std::string& exclusive_start_key,
                         const model::KeyCondition* condition, const TableInfo& table,
                         PageRequest* page) {
  if (exclusive_start_key.empty()) return absl::OkStatus();
  constexpr absl::string_view invalid = "The provided starting key is invalid";
  ASSIGN_OR_RETURN(const Item start, model::DecodeItem(exclusive_start_key));
  const auto view = table.schema.ValidateKey(start);
  if (!view.ok()) {
    return model::ValidationError(absl::StrCat(invalid, ": ", view.status().message()));
  }
  if (condition != nullptr) {
    RETURN_IF_ERROR(CheckQueryStart(*view, *condition, page->keys, table));
  }
  std::string key = model::EncodeItemKey(table.schema.id, *view);
  if (page->backward) {
    page->keys.limit = std::min(page->keys.limit, key);
  } else {
    key.push_back('\0');
    page->keys.start = std::max(page->keys.start, key);
  }
  return absl::OkStatus();
}

absl::Status PrepareQuery(const data::v1::Query& query, const TableInfo& table,
                          const model::TokenRange& range, PageRequest* page) {
  ASSIGN_OR_RETURN(page->placeholders, MakePlaceholders(query.expressions()));
  ASSIGN_OR_RETURN(const model::KeyCondition condition,
                   model::KeyCondition::Parse(query.expressions().key_condition(), table.schema.key,
                                              &page->placeholders));
  RETURN_IF_ERROR(ParseFilterAndProjection(query.expressions(), page));
  if (page->filter.has_value()) {
    RETURN_IF_ERROR(model::ValidateFilterPaths(table.schema.key, page->filter->Paths()));
  }
  RETURN_IF_ERROR(CheckKeyPaths(table.schema.key, page->filter, page->projection));
  const model::Token token = model::TokenOfKey(table.schema.id, condition.partition);
  RETURN_IF_ERROR(CheckToken(token, range));
  page->keys = condition.Range(table.schema.id, token);
  page->backward = query.backward();
  page->count_only = query.count_only();
  page->limit = query.limit();
  return StartBehind(query.exclusive_start_key(), &condition, table, page);
}

absl::Status PrepareScan(const data::v1::Scan& scan, const TableInfo& table,
                         const model::TokenRange& range, PageRequest* page) {
  ASSIGN_OR_RETURN(page->placeholders, MakePlaceholders(scan.expressions()));
  RETURN_IF_ERROR(ParseFilterAndProjection(scan.expressions(), page));
  RETURN_IF_ERROR(CheckKeyPaths(table.schema.key, page->filter, page->projection));
  const uint32_t segments = std::max(scan.segments(), 1u);
  if (scan.segment() >= segments) {
    return model::ValidationError(
        absl::StrCat("The Segment parameter is zero-based and must be less than parameter "
                     "TotalSegments: Segment: ",
                     scan.segment(), " is not less than TotalSegments: ", segments));
  }
  model::TokenRange tokens;
  if (SegmentTokens(range, scan.segment(), segments, &tokens)) {
    page->keys = model::TableRange(table.schema.id, tokens);
  }
  page->count_only = scan.count_only();
  page->limit = scan.limit();
  return StartBehind(scan.exclusive_start_key(), nullptr, table, page);
}

// Adds one item to the page.
absl::Status AddItem(absl::string_view value, const PageRequest& page, data::v1::Page* out) {
  ASSIGN_OR_RETURN(const StoredItem stored, DecodeStoredItem(value));
  const auto item = model::DecodeItem(stored.item);
  if (!item.ok()) return absl::DataLossError(item.status().message());
  out->set_scanned_count(out->scanned_count() + 1);
  out->set_scanned_bytes(out->scanned_bytes() + model::ItemBytes(*item));
  if (page.filter.has_value() && !page.filter->Holds(&*item)) return absl::OkStatus();
  out->set_count(out->count() + 1);
  if (page.count_only) return absl::OkStatus();
  if (page.projection.has_value()) {
    out->add_items(model::EncodeItem(page.projection->Apply(*item)));
  } else {
    out->add_items(stored.item.data(), stored.item.size());
  }
  return absl::OkStatus();
}

// The key attributes that a stored key stands for, as an item.
absl::StatusOr<std::string> KeyItem(absl::string_view key, const TableInfo& table) {
  ASSIGN_OR_RETURN(model::DecodedKey decoded, model::DecodeItemKey(key));
  Item item;
  item.Set(table.schema.key.partition.name, std::move(decoded.partition));
  if (table.schema.key.sort.has_value() && decoded.sort.has_value()) {
    item.Set(table.schema.key.sort->name, *std::move(decoded.sort));
  }
  return model::EncodeItem(item);
}

void SeekToFirst(const PageRequest& page, leveldb::Iterator& iterator) {
  if (!page.backward) return iterator.Seek(SliceOf(page.keys.start));
  iterator.Seek(SliceOf(page.keys.limit));
  iterator.Valid() ? iterator.Prev() : iterator.SeekToLast();
}

absl::StatusOr<data::v1::Response> ReadPage(const PageRequest& page, const TableInfo& table,
                                            bool fill_cache, Store& store) {
  data::v1::Response response;
  data::v1::Page* out = response.mutable_page();
  if (page.keys.empty()) return response;
  const auto iterator = store.NewIterator(fill_cache);
  for (SeekToFirst(page, *iterator);
       iterator->Valid() && page.keys.Contains(ViewOf(iterator->key()));
       page.backward ? iterator->Prev() : iterator->Next()) {
    const bool is_last = page.limit != 0 && out->scanned_count() + 1 == page.limit;
    RETURN_IF_ERROR(AddItem(ViewOf(iterator->value()), page, out));
    if (is_last || out->scanned_bytes() >= kPageBytesMax) {
      ASSIGN_OR_RETURN(*out->mutable_last_evaluated_key(), KeyItem(ViewOf(iterator->key()), table));
      break;
    }
  }
  RETURN_IF_ERROR(store.CheckIterator(*iterator));
  return response;
}

absl::StatusOr<data::v1::Response> ReadItem(const data::v1::Get& get, const TableInfo& table,
                                            const model::TokenRange& range, Store& store) {
  std::optional<model::Projection> projection;
  std::string key;
  model::Placeholders placeholders;
  const auto prepare = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(placeholders, MakePlaceholders(get.expressions()));
    if (!get.expressions().projection().empty()) {
      ASSIGN_OR_RETURN(projection,
                       model::Projection::Parse(get.expressions().projection(), &placeholders));
    }
    RETURN_IF_ERROR(placeholders.CheckAllUsed());
    RETURN_IF_ERROR(CheckKeyPaths(table.schema.key, std::nullopt, projection));
    ASSIGN_OR_RETURN(key, ItemKeyOf(get.key(), table, range));
    return absl::OkStatus();
  };
  if (absl::Status prepared = prepare(); !prepared.ok()) return StatusResponse(prepared);

  ASSIGN_OR_RETURN(data::v1::Response response, ReadWholeItem(key, store));
  if (!projection.has_value() || !response.found()) return response;
  const auto item = model::DecodeItem(response.item());
  if (!item.ok()) return absl::DataLossError(item.status().message());
  response.set_item(model::EncodeItem(projection->Apply(*item)));
  return response;
}

}  // namespace

absl::StatusOr<std::string> ItemKeyOf(absl::string_view key, const TableInfo& table,
                                      const model::TokenRange& range) {
  ASSIGN_OR_RETURN(const Item given, model::DecodeItem(key));
  ASSIGN_OR_RETURN(const model::KeyView view, table.schema.ValidateKey(given));
  RETURN_IF_ERROR(CheckToken(model::TokenOfKey(table.schema.id, *view.partition), range));
  return model::EncodeItemKey(table.schema.id, view);
}

absl::StatusOr<data::v1::Response> ReadWholeItem(const std::string& key, Store& store) {
  data::v1::Response response;
  const absl::StatusOr<std::string> value = store.Get(key);
  if (absl::IsNotFound(value.status())) return response;
  RETURN_IF_ERROR(value.status());
  ASSIGN_OR_RETURN(const StoredItem stored, DecodeStoredItem(*value));
  response.set_found(true);
  response.set_item_version(stored.index);
  response.set_item(stored.item.data(), stored.item.size());
  return response;
}

bool SegmentTokens(const model::TokenRange& range, uint32_t segment, uint32_t segments,
                   model::TokenRange* tokens) {
  using Wide = unsigned __int128;
  const Wide ring = static_cast<Wide>(1) << 64;
  // The first token of a piece; `segments` gives the ring's end.
  const auto begin = [&](uint32_t piece) { return (ring * piece + segments - 1) / segments; };
  const Wide first = std::max<Wide>(range.first, begin(segment));
  const Wide limit = std::min<Wide>(static_cast<Wide>(range.last) + 1, begin(segment + 1));
  if (first >= limit) return false;
  *tokens = {static_cast<uint64_t>(first), static_cast<uint64_t>(limit - 1)};
  return true;
}

absl::StatusOr<data::v1::Response> Read(const data::v1::Request& request, const TableInfo& table,
                                        const model::TokenRange& range, Store& store) {
  if (request.has_get()) return ReadItem(request.get(), table, range, store);
  PageRequest page;
  const absl::Status prepared = request.has_query()
                                    ? PrepareQuery(request.query(), table, range, &page)
                                    : PrepareScan(request.scan(), table, range, &page);
  if (!prepared.ok()) return StatusResponse(prepared);
  // A scan would only push out what is read again.
  return ReadPage(page, table, request.has_query(), store);
}

}  // namespace ringleader
