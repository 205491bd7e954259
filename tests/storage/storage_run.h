// One run: three nodes hold a partition and are written to; one block of one node's disk goes bad,
// while it runs, while it is stopped, or as it loses power; and they are written to again. It fails
// if an answer is wrong, if an acknowledged write is gone, if the group does not answer although
// only one replica is damaged, or if the damaged node does not come to hold what the others hold.
#ifndef RINGLEADER_TESTS_STORAGE_STORAGE_RUN_H_
#define RINGLEADER_TESTS_STORAGE_STORAGE_RUN_H_

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "tests/storage/damage.h"

namespace ringleader::storage {

struct RunResult {
  std::string failure;   // empty: all held
  std::string damage;    // what was done; empty: the disk had nothing of the kind
  bool noticed = false;  // the damaged replica was rebuilt, or its log reported damage
  Duration healed{0};    // from the damage until the node held what the others hold
  uint64_t operations = 0;
};

RunResult RunOnce(uint64_t seed, Aim aim);

}  // namespace ringleader::storage

#endif  // RINGLEADER_TESTS_STORAGE_STORAGE_RUN_H_
