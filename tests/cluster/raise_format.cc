// raise-format: makes a partition's state record look as if a newer program had written it, for the
// tests of tests/cluster. Its first byte is the format (node/records.h); the argument is added to
// it, so that -1 undoes what 1 did. Usage: raise-format DIRECTORY NUMBER
#include <leveldb/db.h>
#include <leveldb/options.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "node/records.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  leveldb::DB* opened = nullptr;
  leveldb::Status status = leveldb::DB::Open(leveldb::Options(), argv[1], &opened);
  const std::unique_ptr<leveldb::DB> database(opened);
  std::string record;
  const std::string key = ringleader::StateKey();
  if (status.ok()) status = database->Get(leveldb::ReadOptions(), key, &record);
  if (status.ok() && record.empty()) status = leveldb::Status::Corruption("an empty state record");
  if (status.ok()) {
    record[0] = static_cast<char>(record[0] + std::atoi(argv[2]));
    status = database->Put(leveldb::WriteOptions(), key, record);
  }
  // A node does not read LevelDB's own log: the record has to be in a table.
  if (status.ok()) database->CompactRange(nullptr, nullptr);
  if (!status.ok()) std::fprintf(stderr, "%s: %s\n", argv[1], status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
