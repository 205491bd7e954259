// The end of a MANIFEST after a crash. LevelDB takes any bad record of it for corruption, also the
// one that was being written when the machine lost power; and where that happens to all machines at
// once, every replica of a partition may be hit, none of which another could rebuild.
//
// A MANIFEST is synced after each record, so only its last record can be torn: a bad record with
// another record beginning anywhere behind it is corruption, one without is a record that never
// was. The files that it would have named are removed as unknown, and the Raft log has what they
// held. (A synced last record that went bad is dropped as well: then files are missing, or the
// state is behind the log, and opening says so.)
//
// Format: LevelDB's log format, doc/log_format.md: blocks of 32 KiB, records of a masked CRC-32C, a
// length and a type.
#ifndef RINGLEADER_NODE_LEVELDB_MANIFEST_H_
#define RINGLEADER_NODE_LEVELDB_MANIFEST_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace ringleader {

// How much of it to read: all but a torn last record; all if something else is wrong.
size_t IntactManifestBytes(absl::string_view content);

// Whether every record of it is intact, the last one may be cut short, and it begins as it should.
bool IsManifestIntact(absl::string_view content);

// Whether its first record is what LevelDB begins one with, the comparator and all files that there
// are. A later record in its place, which a write that went astray may leave there, is as whole,
// and LevelDB would open a database of that one's files only.
bool BeginsWithAllFiles(absl::string_view content);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_LEVELDB_MANIFEST_H_
