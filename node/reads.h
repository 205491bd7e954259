// Get, Query and Scan against one partition's store, as it is: whoever calls has made sure that it
// is recent enough.
//
// A page ends after 1 MiB of items (DynamoDB's count, before the filter) or the request's limit,
// whichever comes first, so that a read holds its applier and its iterator for a bounded time.
#ifndef RINGLEADER_NODE_READS_H_
#define RINGLEADER_NODE_READS_H_

#include "model/token.h"
#include "node/store.h"
#include "node/table_info.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader {

inline constexpr size_t kPageBytesMax = 1 << 20;

// `request` holds a get, a query or a scan. Errors of the request are in the answer; a status that
// is not OK is the store's, and the replica has to be rebuilt.
absl::StatusOr<data::v1::Response> Read(const data::v1::Request& request, const TableInfo& table,
                                        const model::TokenRange& range, Store& store);

// The same for one whole item; `key` as ItemKeyOf returns it.
absl::StatusOr<data::v1::Response> ReadWholeItem(const std::string& key, Store& store);

// What a get's key is in the store (model/key_codec.h). Errors as StatusResponse takes them.
absl::StatusOr<std::string> ItemKeyOf(absl::string_view key, const TableInfo& table,
                                      const model::TokenRange& range);

// The tokens of one of `segments` equal pieces of the ring, within `range`; false if they have none
// in common. segment < segments.
bool SegmentTokens(const model::TokenRange& range, uint32_t segment, uint32_t segments,
                   model::TokenRange* tokens);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_READS_H_
