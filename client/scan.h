// A scan over all partitions, in token order: one partition's page after another until the limit,
// 1 MiB, or the end of the ring. Each step names its partition and the epoch it knows it by, so a
// partition whose range changed is asked again and nothing is passed over.
#ifndef RINGLEADER_CLIENT_SCAN_H_
#define RINGLEADER_CLIENT_SCAN_H_

#include "client/router.h"

namespace ringleader::client {

// Of items that were read, before filter and projection.
inline constexpr uint64_t kScanPageBytes = 1 << 20;

// The first token of segment `segment` of `segments`, segment < segments (data.proto, Scan).
model::Token SegmentStart(uint32_t segment, uint32_t segments);

// `request` has a Scan. `done` runs on the router's executor, with the pages of all steps as one.
void StartScan(Router& router, data::v1::Request request, ResponseCallback done);

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_SCAN_H_
