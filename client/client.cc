// The forms that wait: each starts the form with a callback and waits for it, in one place.
#include "ringleader/client.h"

#include "client/await.h"

namespace ringleader {
namespace {

template <typename Result>
using Awaited = client::Awaited<absl::StatusOr<Result>>;

}  // namespace

absl::StatusOr<ReadResult> Client::Get(absl::string_view table, const Item& key,
                                       const ReadOptions& options) {
  CheckMayWait();  // also where it would not wait: it may have to, the next time
  if (std::optional<ReadResult> known = GetFromMemory(table, key, options); known.has_value()) {
    return *std::move(known);
  }
  Awaited<ReadResult> awaited;
  GetAsync(table, key, options, awaited.Done());
  return awaited.Wait();
}

absl::StatusOr<WriteResult> Client::Put(absl::string_view table, const Item& item,
                                        const WriteOptions& options) {
  CheckMayWait();
  Awaited<WriteResult> awaited;
  PutAsync(table, item, options, awaited.Done());
  return awaited.Wait();
}

absl::StatusOr<WriteResult> Client::Update(absl::string_view table, const Item& key,
                                           absl::string_view update, const WriteOptions& options) {
  CheckMayWait();
  Awaited<WriteResult> awaited;
  UpdateAsync(table, key, update, options, awaited.Done());
  return awaited.Wait();
}

absl::StatusOr<WriteResult> Client::Remove(absl::string_view table, const Item& key,
                                           const WriteOptions& options) {
  CheckMayWait();
  Awaited<WriteResult> awaited;
  RemoveAsync(table, key, options, awaited.Done());
  return awaited.Wait();
}

absl::StatusOr<QueryPage> Client::Query(absl::string_view table, const QueryOptions& options) {
  CheckMayWait();
  Awaited<QueryPage> awaited;
  QueryAsync(table, options, awaited.Done());
  return awaited.Wait();
}

absl::StatusOr<QueryPage> Client::Scan(absl::string_view table, const QueryOptions& options) {
  CheckMayWait();
  Awaited<QueryPage> awaited;
  ScanAsync(table, options, awaited.Done());
  return awaited.Wait();
}

std::vector<absl::StatusOr<ReadResult>> Client::BatchGet(absl::string_view table,
                                                         const std::vector<Item>& keys,
                                                         const ReadOptions& options) {
  CheckMayWait();
  std::vector<Awaited<ReadResult>> awaited(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    GetAsync(table, keys[i], options, awaited[i].Done());
  }
  std::vector<absl::StatusOr<ReadResult>> results;
  for (auto& one : awaited) results.push_back(one.Wait());
  return results;
}

std::vector<absl::Status> Client::BatchWrite(absl::string_view table,
                                             const std::vector<BatchEntry>& entries) {
  CheckMayWait();
  std::vector<Awaited<WriteResult>> awaited(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].kind == BatchEntry::Kind::kPut) {
      PutAsync(table, entries[i].item, {}, awaited[i].Done());
    } else {
      RemoveAsync(table, entries[i].item, {}, awaited[i].Done());
    }
  }
  std::vector<absl::Status> results;
  for (auto& one : awaited) results.push_back(one.Wait().status());
  return results;
}

}  // namespace ringleader
