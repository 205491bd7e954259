#include "node/data_service.h"

#include <map>
#include <utility>

#include "model/item_codec.h"
#include "model/key_codec.h"
#include "node/evaluate.h"

namespace ringleader {
namespace {

// The bytes in which a request names its key; empty: it has none.
const std::string& KeyBytes(const data::v1::Request& request) {
  static const std::string* const none = new std::string();
  switch (request.operation_case()) {
    case data::v1::Request::kGet:
      return request.get().key();
    case data::v1::Request::kPut:
      return request.put().item();
    case data::v1::Request::kDelete:
      return request.delete_().key();
    case data::v1::Request::kUpdate:
      return request.update().key();
    default:
      return *none;
  }
}

}  // namespace

replication::GroupId DataService::Route(const data::v1::Request& request,
                                        data::v1::Response* error) const {
  if (request.has_route() && request.route().partition() != 0) {
    return request.route().partition();
  }
  const auto table = request.table_case() == data::v1::Request::kTableId
                         ? registry_.FindTable(request.table_id())
                         : registry_.FindTable(request.table_name());
  if (table == nullptr) {
    *error = ErrorResponse(data::v1::ERROR_TABLE_NOT_FOUND, "Requested resource not found");
    return 0;
  }
  if (request.has_query() || request.has_scan()) {
    *error = ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "a query or scan needs a route");
    return 0;
  }
  const auto item = model::DecodeItem(KeyBytes(request));
  if (!item.ok()) {
    *error = StatusResponse(item.status());
    return 0;
  }
  // Nothing but the token is wanted: the leader checks the key as a whole.
  const model::AttributeValue* key = item->Find(table->schema.key.partition.name);
  if (key == nullptr || key->type() != table->schema.key.partition.type) {
    *error = ErrorResponse(data::v1::ERROR_VALIDATION,
                           "The provided key element does not match the schema");
    return 0;
  }
  const auto group = registry_.FindByToken(model::TokenOfKey(table->schema.id, *key));
  if (group == 0) *error = ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "not on this node");
  return group;
}

void DataService::Dispatch(std::vector<PendingRequest> requests) {
  std::map<replication::GroupId, std::vector<PendingRequest>> by_group;
  const auto refuse = [](PendingRequest& pending, data::v1::Response response) {
    response.set_id(pending.request.id());
    pending.respond(std::move(response));
  };
  for (PendingRequest& pending : requests) {
    data::v1::Response error;
    const replication::GroupId group = Route(pending.request, &error);
    if (group == 0) {
      refuse(pending, std::move(error));
    } else {
      by_group[group].push_back(std::move(pending));
    }
  }
  for (auto& [group, share] : by_group) {
    auto replica = find_(group);
    const auto not_here =
        ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "the partition is not on this node");
    if (replica == nullptr) {
      for (PendingRequest& pending : share) refuse(pending, not_here);
      continue;
    }
    Executor& applier = replica->applier();
    applier.Post([this, group = group, replica = std::move(replica), refuse, not_here,
                  share = std::move(share)]() mutable {
      Partition* partition = registry_.Open(group);
      if (partition != nullptr) return partition->Execute(replica, std::move(share));
      for (PendingRequest& pending : share) refuse(pending, not_here);
    });
  }
}

}  // namespace ringleader
