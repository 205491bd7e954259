#include "client/client_request.h"

#include <string>

#include "client/errors.h"
#include "common/status.h"
#include "model/item_codec.h"

namespace ringleader::client {
namespace {

data::v1::Consistency WireConsistency(Consistency consistency) {
  return consistency == Consistency::kEventual ? data::v1::CONSISTENCY_EVENTUAL
                                               : data::v1::CONSISTENCY_LINEARIZABLE;
}

data::v1::ReturnValues WireReturnValues(ReturnValues values) {
  switch (values) {
    case ReturnValues::kNone:
      return data::v1::RETURN_VALUES_NONE;
    case ReturnValues::kAllOld:
      return data::v1::RETURN_VALUES_ALL_OLD;
    case ReturnValues::kUpdatedOld:
      return data::v1::RETURN_VALUES_UPDATED_OLD;
    case ReturnValues::kAllNew:
      return data::v1::RETURN_VALUES_ALL_NEW;
    case ReturnValues::kUpdatedNew:
      return data::v1::RETURN_VALUES_UPDATED_NEW;
  }
  return data::v1::RETURN_VALUES_NONE;
}

data::v1::Request NewRequest(absl::string_view table, std::chrono::milliseconds timeout) {
  data::v1::Request request;
  request.set_table_name(std::string(table));
  request.set_timeout_ms(static_cast<uint32_t>(std::max<int64_t>(timeout.count(), 0)));
  return request;
}

void SetNames(const Names& names, data::v1::Expressions* expressions) {
  for (const auto& [placeholder, name] : names) (*expressions->mutable_names())[placeholder] = name;
}

template <typename Operation>
void SetWriteOptions(const WriteOptions& options, Operation* operation) {
  data::v1::Expressions* expressions = operation->mutable_expressions();
  expressions->set_condition(options.condition);
  SetNames(options.names, expressions);
  if (!options.values.empty()) expressions->set_values(model::EncodeItem(options.values));
  operation->set_return_values(WireReturnValues(options.return_values));
  operation->set_return_item_on_condition_failure(options.return_item_on_condition_failure);
}

template <typename Operation>
void SetQueryOptions(const QueryOptions& options, Operation* operation) {
  data::v1::Expressions* expressions = operation->mutable_expressions();
  expressions->set_filter(options.filter);
  expressions->set_projection(options.projection);
  SetNames(options.names, expressions);
  if (!options.values.empty()) expressions->set_values(model::EncodeItem(options.values));
  operation->set_consistency(WireConsistency(options.consistency));
  operation->set_limit(options.limit);
  operation->set_count_only(options.count_only);
  if (!options.start_key.empty()) {
    operation->set_exclusive_start_key(model::EncodeItem(options.start_key));
  }
}

// Bytes from a server that are no item: nothing the caller did.
absl::StatusOr<Item> ItemOf(const std::string& bytes) {
  auto item = model::DecodeItem(bytes);
  if (!item.ok()) {
    return MakeError(
        ErrorKind::kInternal,
        absl::StrCat("the server sent an item that can't be read: ", item.status().message()));
  }
  return item;
}

}  // namespace

data::v1::Request GetRequest(absl::string_view table, const Item& key, const ReadOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  data::v1::Get* get = request.mutable_get();
  get->set_key(model::EncodeItem(key));
  get->set_consistency(WireConsistency(options.consistency));
  if (options.projection.empty() && options.names.empty()) return request;
  get->mutable_expressions()->set_projection(options.projection);
  SetNames(options.names, get->mutable_expressions());
  return request;
}

data::v1::Request PutRequest(absl::string_view table, const Item& item,
                             const WriteOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  request.mutable_put()->set_item(model::EncodeItem(item));
  SetWriteOptions(options, request.mutable_put());
  return request;
}

data::v1::Request UpdateRequest(absl::string_view table, const Item& key, absl::string_view update,
                                const WriteOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  request.mutable_update()->set_key(model::EncodeItem(key));
  SetWriteOptions(options, request.mutable_update());
  request.mutable_update()->mutable_expressions()->set_update(std::string(update));
  return request;
}

data::v1::Request DeleteRequest(absl::string_view table, const Item& key,
                                const WriteOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  request.mutable_delete_()->set_key(model::EncodeItem(key));
  SetWriteOptions(options, request.mutable_delete_());
  return request;
}

data::v1::Request QueryRequest(absl::string_view table, const QueryOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  SetQueryOptions(options, request.mutable_query());
  request.mutable_query()->mutable_expressions()->set_key_condition(options.key_condition);
  request.mutable_query()->set_backward(options.backward);
  return request;
}

data::v1::Request ScanRequest(absl::string_view table, const QueryOptions& options) {
  data::v1::Request request = NewRequest(table, options.timeout);
  SetQueryOptions(options, request.mutable_scan());
  request.mutable_scan()->set_segment(options.segment);
  request.mutable_scan()->set_segments(options.segments);
  return request;
}

absl::StatusOr<ReadResult> ReadResultOf(const data::v1::Response& response) {
  RETURN_IF_ERROR(StatusOfResponse(response));
  ReadResult result{.found = response.found(), .item_version = response.item_version()};
  if (result.found) {
    ASSIGN_OR_RETURN(result.item, ItemOf(response.item()));
  }
  return result;
}

absl::StatusOr<WriteResult> WriteResultOf(const data::v1::Response& response) {
  RETURN_IF_ERROR(StatusOfResponse(response));
  WriteResult result{.item_version = response.item_version()};
  ASSIGN_OR_RETURN(result.item, ItemOf(response.item()));
  return result;
}

absl::StatusOr<QueryPage> QueryPageOf(const data::v1::Response& response) {
  RETURN_IF_ERROR(StatusOfResponse(response));
  QueryPage page{.count = response.page().count(),
                 .scanned_count = response.page().scanned_count()};
  for (const std::string& bytes : response.page().items()) {
    ASSIGN_OR_RETURN(Item item, ItemOf(bytes));
    page.items.push_back(std::move(item));
  }
  ASSIGN_OR_RETURN(page.last_key, ItemOf(response.page().last_evaluated_key()));
  return page;
}

}  // namespace ringleader::client
