// The public operations as requests of the wire, and their answers back. Pure; thread-safe.
#ifndef RINGLEADER_CLIENT_CLIENT_REQUEST_H_
#define RINGLEADER_CLIENT_CLIENT_REQUEST_H_

#include "ringleader/client.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

data::v1::Request GetRequest(absl::string_view table, const Item& key, const ReadOptions& options);
data::v1::Request PutRequest(absl::string_view table, const Item& item,
                             const WriteOptions& options);
data::v1::Request UpdateRequest(absl::string_view table, const Item& key, absl::string_view update,
                                const WriteOptions& options);
data::v1::Request DeleteRequest(absl::string_view table, const Item& key,
                                const WriteOptions& options);
data::v1::Request QueryRequest(absl::string_view table, const QueryOptions& options);
data::v1::Request ScanRequest(absl::string_view table, const QueryOptions& options);

absl::StatusOr<ReadResult> ReadResultOf(const data::v1::Response& response);
absl::StatusOr<WriteResult> WriteResultOf(const data::v1::Response& response);
absl::StatusOr<QueryPage> QueryPageOf(const data::v1::Response& response);

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CLIENT_REQUEST_H_
