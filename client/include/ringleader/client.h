// The client of a Ringleader cluster.
//
//   auto client = ringleader::Client::Connect({.coordinators = {"127.0.0.1:7000"}});
//   if (!client.ok()) ...
//   ringleader::Item item;
//   item.Set("id", ringleader::AttributeValue::String("ada"));
//   absl::Status status = (*client)->Put("users", item).status();
//
//   ringleader::Item key = item;
//   absl::StatusOr<ringleader::ReadResult> read = (*client)->Get("users", key);
//
// Items, expressions and their errors are DynamoDB's. Reads are linearizable unless asked
// otherwise. A write is carried out once at most, however often the library had to send it. Errors:
// see ringleader/error.h; only kUnknownOutcome means that a write may have been carried out.
//
// The cache (ClientOptions::cache) keeps items in this process's memory, those most asked for. The
// cluster leases them out: whoever changes an item first takes it back from everybody who has it,
// or waits until the lease has run out. So a read from memory is as linearizable as any other, and
// costs no message. It assumes that no two clocks, of nodes and of applications' machines, differ
// in rate by more than the nodes' --clock-drift: not so where a virtual machine is stopped or
// restored and its clocks (CLOCK_BOOTTIME too) don't count that time. A process that holds an item
// and dies or stands still delays the next write of that item, by a lease term at most (the nodes'
// --client-lease-term-ms; 2 s): do not cache what is written more often than it is read. A client
// that is destroyed gives back what it holds, which takes it half a second at most.
//
// Each operation comes in two forms: one that waits, and one that takes a callback (...Async).
// Threads: every method may be called from any thread. Callbacks run one at a time on the client's
// own thread; they must not block, and must not call a form that waits (the process is stopped if
// one does). Every callback runs exactly once, at the latest while the client is destroyed.
#ifndef RINGLEADER_CLIENT_INCLUDE_RINGLEADER_CLIENT_H_
#define RINGLEADER_CLIENT_INCLUDE_RINGLEADER_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/item.h"
#include "model/table_schema.h"
#include "ringleader/error.h"

namespace ringleader {

using model::AttributeType;
using model::AttributeValue;
using model::Item;
using model::KeySchema;

// How requests reach the data.
enum class RoutePolicy {
  kAuto,          // straight to the nodes, through a coordinator where a node can't be reached
  kDirect,        // straight to the nodes, never otherwise
  kCoordinators,  // through coordinators: the nodes are on a private network
};

// Told that an item of this process's memory is there no longer: somebody changes it, other items
// needed the room, or its lease has run out.
using InvalidationCallback = std::function<void(absl::string_view table, const Item& key)>;

// Keeps items in this process's memory, leased by the cluster (see "The cache" above). At most 256
// processes hold an item at a time; the others read it from its node. Nothing is kept with
// RoutePolicy::kCoordinators: coordinators have a cache of their own.
struct CacheOptions {
  uint64_t bytes_max = 0;           // for all items; 0: nothing is kept
  std::vector<std::string> tables;  // items of these tables only; empty: of all
  // For what an application derives from items and keeps (a rendered page, a parsed document). Runs
  // on a thread for it alone, soon, once for each item whose read said ReadResult::watched, and
  // sometimes for others; it may call this client, also the forms that wait. What was derived from
  // a watched read is thereby never wrong for good; for an answer that is linearizable, read again,
  // which costs no message as long as the item is held, and compare item_version. Against the race
  // of a read with a notice:
  //   1. put a mark for the key into your own map, one that no other read has;
  //   2. read;
  //   3. if `watched`, and your mark is still there, put what you derived in its place.
  // The callback removes whatever it finds; another read's mark takes the place of yours.
  // While 10,000 notices wait for it nothing more is kept in memory. It ends with the client: drop
  // what you derived before you destroy it, which must not happen in the callback itself.
  InvalidationCallback on_invalidated;
};

struct ClientOptions {
  std::vector<std::string> coordinators;  // host:port, at least one
  RoutePolicy route = RoutePolicy::kAuto;
  std::chrono::milliseconds timeout{10000};          // of a request that names none; at most 60 s
  std::chrono::milliseconds connect_timeout{10000};  // for Connect to get the cluster's map
  uint32_t requests_max = 65536;                     // outstanding; more are refused as throttled
  uint64_t bytes_max = 256 << 20;                    // of outstanding requests
  CacheOptions cache;                                // off unless asked for
};

enum class Consistency { kLinearizable, kEventual };

// What a write gives back. kUpdated...: of updates only.
enum class ReturnValues { kNone, kAllOld, kUpdatedOld, kAllNew, kUpdatedNew };

using Names = std::vector<std::pair<std::string, std::string>>;  // {"#n", "name"}

struct ReadOptions {
  Consistency consistency = Consistency::kLinearizable;
  std::string projection;
  Names names;
  std::chrono::milliseconds timeout{0};  // 0: the client's
  // With a cache: a linearizable read's answer from memory may be old by this much. 0: it is not
  // old at all; and no other answer to it is. An eventual read's may be old by this much or 5 s,
  // whichever is more, and by any time if a replica gives it.
  std::chrono::milliseconds stale_max{0};
};

struct WriteOptions {
  std::string condition;
  Names names;
  Item values;  // ":v" to value
  ReturnValues return_values = ReturnValues::kNone;
  bool return_item_on_condition_failure = false;
  std::chrono::milliseconds timeout{0};
};

struct QueryOptions {
  std::string key_condition;  // queries only
  std::string filter;
  std::string projection;
  Names names;
  Item values;
  Consistency consistency = Consistency::kLinearizable;
  bool backward = false;  // queries only: descending sort keys
  bool count_only = false;
  uint32_t limit = 0;     // items evaluated; 0: as many as a page of 1 MiB has
  Item start_key;         // the last_key of the page before; empty: from the beginning
  uint32_t segment = 0;   // scans only: this one of
  uint32_t segments = 1;  // so many, for scanning in parallel
  std::chrono::milliseconds timeout{0};
};

struct ReadResult {
  bool found = false;
  Item item;
  uint64_t item_version = 0;
  bool watched = false;  // CacheOptions::on_invalidated will be told when this is no longer current
};

struct CacheStatistics {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t joined = 0;   // misses that the answer to another one's request answered
  uint64_t expired = 0;  // misses of an item whose lease had run out
  uint64_t inserted = 0;
  uint64_t refused = 0;      // not asked for often enough to be kept
  uint64_t invalidated = 0;  // somebody changed it
  uint64_t evicted = 0;
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

struct WriteResult {
  Item item;  // what return_values asked for
  uint64_t item_version = 0;
};

struct QueryPage {
  std::vector<Item> items;
  Item last_key;  // empty: there is no more
  uint64_t count = 0;
  uint64_t scanned_count = 0;
};

// One write of a batch: a put of `item`, or a delete of the key that `item` is.
struct BatchEntry {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  Item item;
};

enum class TableState { kCreating, kActive, kDeleting };

struct TableDescription {
  uint64_t id = 0;
  std::string name;
  TableState state = TableState::kCreating;
  KeySchema key;
  int64_t created_ms = 0;  // since 1970
};

template <typename Result>
using Callback = absl::AnyInvocable<void(absl::StatusOr<Result>)>;

class Client {
 public:
  // Waits until a coordinator has sent the cluster's map. Errors: kValidation, the options are
  // wrong; kUnavailable, no coordinator answered, with what each of the last tries met.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ClientOptions options);

  // Ends what is outstanding with kUnknownOutcome or kUnavailable.
  virtual ~Client() = default;

  virtual void GetAsync(absl::string_view table, const Item& key, const ReadOptions& options,
                        Callback<ReadResult> done) = 0;
  virtual void PutAsync(absl::string_view table, const Item& item, const WriteOptions& options,
                        Callback<WriteResult> done) = 0;
  // `update`: "SET a = :v REMOVE b".
  virtual void UpdateAsync(absl::string_view table, const Item& key, absl::string_view update,
                           const WriteOptions& options, Callback<WriteResult> done) = 0;
  virtual void RemoveAsync(absl::string_view table, const Item& key, const WriteOptions& options,
                           Callback<WriteResult> done) = 0;
  virtual void QueryAsync(absl::string_view table, const QueryOptions& options,
                          Callback<QueryPage> done) = 0;
  // In the order of tokens, over all partitions.
  virtual void ScanAsync(absl::string_view table, const QueryOptions& options,
                         Callback<QueryPage> done) = 0;

  absl::StatusOr<ReadResult> Get(absl::string_view table, const Item& key,
                                 const ReadOptions& options = {});
  absl::StatusOr<WriteResult> Put(absl::string_view table, const Item& item,
                                  const WriteOptions& options = {});
  absl::StatusOr<WriteResult> Update(absl::string_view table, const Item& key,
                                     absl::string_view update, const WriteOptions& options = {});
  absl::StatusOr<WriteResult> Remove(absl::string_view table, const Item& key,
                                     const WriteOptions& options = {});
  absl::StatusOr<QueryPage> Query(absl::string_view table, const QueryOptions& options);
  absl::StatusOr<QueryPage> Scan(absl::string_view table, const QueryOptions& options = {});

  // Each key or entry for itself, in parallel, not as one transaction; results in the same order.
  std::vector<absl::StatusOr<ReadResult>> BatchGet(absl::string_view table,
                                                   const std::vector<Item>& keys,
                                                   const ReadOptions& options = {});
  std::vector<absl::Status> BatchWrite(absl::string_view table,
                                       const std::vector<BatchEntry>& entries);

  // Waits until the table can be written to.
  virtual absl::StatusOr<TableDescription> CreateTable(absl::string_view name,
                                                       const KeySchema& key) = 0;
  virtual absl::StatusOr<TableDescription> DescribeTable(absl::string_view name) = 0;
  // Waits until no read shows its items, but eventual ones for a moment, and its name may be used
  // again. kDeadline: it will be deleted, and is not yet.
  virtual absl::Status DeleteTable(absl::string_view name) = 0;
  // All names, sorted.
  virtual absl::StatusOr<std::vector<std::string>> ListTables() = 0;

  // All zero without a cache.
  virtual CacheStatistics cache_statistics() const = 0;

 protected:
  Client() = default;
  // CHECKs that the caller may wait here.
  virtual void CheckMayWait() const = 0;
  // The answer that is in this process's memory, if there is one.
  virtual std::optional<ReadResult> GetFromMemory(absl::string_view table, const Item& key,
                                                  const ReadOptions& options) = 0;
};

}  // namespace ringleader

#endif  // RINGLEADER_CLIENT_INCLUDE_RINGLEADER_CLIENT_H_
