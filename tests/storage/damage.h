// One bad block on a simulated disk: which, and how.
#ifndef RINGLEADER_TESTS_STORAGE_DAMAGE_H_
#define RINGLEADER_TESTS_STORAGE_DAMAGE_H_

#include <cstdint>
#include <string>

#include "common/random.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader::storage {

// What the damage is aimed at; kAny is a block of the disk chosen at random.
enum class Aim : uint8_t {
  kAny,
  kSegmentHeader,  // one of the two copies
  kLastBatch,      // the newest segment's last blocks that hold something
  kLogBlock,       // any block of the log that holds something
  kTableEnd,       // a LevelDB table's footer and index
  kTableBlock,     // any block of a table
  kManifest,       // where the tables are listed
  kCurrent,        // which MANIFEST it is
  kPlan,           // what a new replica was made by
  kCount,
};

const char* AimName(Aim aim);

struct Damage {
  std::string path;  // empty: the disk holds nothing of the kind that was aimed at
  uint64_t block = 0;
  std::string what;  // in words
};

// Damages one block: a flipped bit, zeros, noise, or unreadable.
Damage DamageOneBlock(SimulatedFileSystem& disk, Aim aim, Random& random);

}  // namespace ringleader::storage

#endif  // RINGLEADER_TESTS_STORAGE_DAMAGE_H_
