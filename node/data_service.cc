#include "node/data_service.h"

#include <algorithm>
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

data::v1::Response NotHere() {
  return ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "the partition is not on this node");
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

void DataService::Refuse(std::vector<PendingRequest>& requests, const data::v1::Response& why) {
  for (PendingRequest& pending : requests) {
    data::v1::Response response = why;
    response.set_id(pending.request.id());
    pending.respond(std::move(response));
  }
}

void DataService::Dispatch(std::vector<PendingRequest> requests) {
  std::map<replication::GroupId, std::vector<PendingRequest>> by_group;
  for (PendingRequest& pending : requests) {
    data::v1::Response error;
    const replication::GroupId group = Route(pending.request, &error);
    if (group != 0) {
      by_group[group].push_back(std::move(pending));
    } else {
      error.set_id(pending.request.id());
      pending.respond(std::move(error));
    }
  }
  // One task for each applier, however many of its partitions the frame is for; in the order of
  // groups, as the order of addresses would differ from run to run.
  std::vector<std::pair<Executor*, std::vector<Share>>> by_applier;
  for (auto& [group, share] : by_group) {
    auto replica = find_(group);
    if (replica == nullptr) {
      Refuse(share, NotHere());
    } else {
      Executor* const applier = &replica->applier();
      auto shares = std::find_if(by_applier.begin(), by_applier.end(),
                                 [applier](const auto& each) { return each.first == applier; });
      if (shares == by_applier.end()) {
        by_applier.emplace_back(applier, std::vector<Share>());
        shares = std::prev(by_applier.end());
      }
      shares->second.push_back({group, std::move(replica), std::move(share)});
    }
  }
  for (auto& [applier, shares] : by_applier) {
    applier->Post([this, shares = std::move(shares)]() mutable {
      for (Share& share : shares) {
        if (Partition* partition = registry_.Open(share.group); partition != nullptr) {
          partition->Execute(share.replica, std::move(share.requests));
        } else {
          Refuse(share.requests, NotHere());
        }
      }
    });
  }
}

}  // namespace ringleader
