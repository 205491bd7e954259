// Reads from the application's own memory: the item cache with the lanes that fill it
// (node/cache.md).
//
// A read looks into memory on the caller's thread, without a lock. On a miss it goes to the
// executor. There reads of one key that miss at the same time become one fill; what can't be filled
// (a key that is not asked for often enough, a node without a lane, any error) goes the way of
// every request, through the router.
//
// Invariants
//   1. A read that had begun when a fill was asked for may be answered by it in any case. One that
//      joined it later is only if the grant holds at that moment, so that the answer is current in
//      every read that is under way; otherwise those that joined have one more fill, together.
//   2. Every read gets exactly one answer, by its deadline at the latest.
//
// Threads: KeyOf, Find, Read, Execute, statistics and memory by any; everything else on the
// executor. The executor is stopped before it is destroyed.
#ifndef RINGLEADER_CLIENT_CACHED_READS_H_
#define RINGLEADER_CLIENT_CACHED_READS_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/cache_lane.h"
#include "client/invalidation_notices.h"
#include "client/item_cache.h"
#include "client/read_sections.h"
#include "client/router.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/mutex.h"
#include "common/random.h"
#include "ringleader/client.h"

namespace ringleader::client {

class CachedReads : private CacheLane::Observer {
 public:
  // How old an eventually consistent read from memory may be.
  static constexpr Duration kEventualStaleMax = std::chrono::seconds(5);
  // And how long it waits for the leader's grant, before it asks whichever replica answers.
  static constexpr Duration kEventualFillMax = std::chrono::milliseconds(200);

  // All outlive it. `options.bytes_max` is not 0. `application`: where on_invalidated runs, if
  // there is one; stopped before this is destroyed.
  CachedReads(const CacheOptions& options, Router& router, Network& network, Executor& executor,
              Clock& clock, Random random, const CacheLaneOptions& lane = {},
              Executor* application = nullptr);
  ~CachedReads() override;

  // The key under which an item would be in memory. None: reads of this kind, or of this table, are
  // not cached.
  std::optional<std::string> KeyOf(absl::string_view table, const Item& key,
                                   const ReadOptions& options) const;
  // None: it is not in memory, or is of what is not cached.
  std::optional<ReadResult> Find(absl::string_view table, const Item& key,
                                 const ReadOptions& options);
  // From memory or by a fill. `done` on the executor. `is_watched`: see ReadResult.
  using ReadDone = absl::AnyInvocable<void(data::v1::Response, bool is_watched)>;
  void Read(std::string key, const ReadOptions& options, data::v1::Request request, ReadDone done);

  // Carries out any request, for a process that routes those of others. What is in memory is
  // answered at once, `done` inside; otherwise `done` runs on the executor. An eventually
  // consistent get is answered from memory too, but brings nothing into it: any replica may answer
  // it.
  void Execute(data::v1::Request request, ResponseCallback done);

  CacheStatistics statistics() const;
  const ItemCache& memory() const { return cache_; }

  void Start();
  // Before Shutdown, so that nobody has to wait for what is held here: nothing is kept any more,
  // and all is given back. `done` is called when the nodes have taken that in, or after kLeaveMax.
  static constexpr Duration kLeaveMax = std::chrono::milliseconds(500);
  void Leave(absl::AnyInvocable<void()> done);
  // Answers every read.
  void Shutdown();

 private:
  struct Table {
    uint64_t id = 0;
    uint64_t schema_version = 0;
    model::TableSchema schema;
  };
  struct Tables {
    std::map<std::string, Table, std::less<>> by_name;
    std::map<uint64_t, const Table*> by_id;
  };
  struct Reader {
    Duration stale_max{0};
    bool is_filling = true;  // a miss may be worth a grant
    data::v1::Request request;
    ReadDone done;
    Duration began{0};
    Duration timeout{0};
  };
  // Readers that wait for one item.
  struct Flight {
    uint64_t number = 0;  // an answer to an earlier flight of the key is not this one's
    size_t early = 0;     // so many of the readers, the first, were there when it was asked for
    std::vector<Reader> readers;
  };

  static Duration StaleMaxOf(const ReadOptions& options);
  static bool IsWholeItem(const ReadOptions& options);
  const Table* FindTable(absl::string_view name) const;
  const Table* FindTableOf(const data::v1::Request& request) const;
  static bool EncodeKeyTo(const Table* table, const Item& key, std::string* bytes);
  std::optional<std::string> KeyOfGet(const data::v1::Request& request) const;
  std::optional<data::v1::Response> AnswerFromMemory(const std::string& key, Duration stale_max,
                                                     uint64_t id, ItemCache::Found* found);
  void BeginSoon(std::string key, Reader reader);
  void TakeIncoming();
  bool IsCached(const std::string& table) const;
  void WatchMap();
  void TakeMap();
  void Begin(std::string key, Reader reader);
  void Fly(const std::string& key, std::vector<Reader> readers);
  std::shared_ptr<CacheLane> LaneTo(const std::string& key, data::v1::Request* request);
  void ReadAlone(const std::string& key, Reader reader);
  Duration LeftOf(const Reader& reader) const;
  void NoteSize(const data::v1::Response& response);
  void Filled(const std::string& key, uint64_t flight, std::optional<CacheLane::Answer> answer);
  void AskRouter(Reader reader);
  void Inserted(const std::string& key, uint64_t version,
                const std::shared_ptr<const GrantDeadline>& deadline,
                const std::vector<ItemCache::Dropped>& dropped) override;
  void Erased(const std::string& key, const GrantDeadline* deadline) override;
  void GiveBack(const ItemCache::Dropped& dropped);
  void TendSoon();
  void Tend();
  void ExpireReaders();

  const CacheOptions options_;
  const CacheLaneOptions lane_options_;
  Router& router_;
  Network& network_;
  Executor& executor_;
  Clock& clock_;
  const uint64_t client_;
  ItemCache cache_;
  StripedCounter misses_;   // reads that went on to the cluster
  StripedCounter expired_;  // of them, those of an item whose grant had run out
  StripedCounter joined_;   // of them, those that another one's request answered
  Mutex mutex_;
  // Reads that the executor has not taken yet, with their keys.
  std::vector<std::pair<std::string, Reader>> incoming_ ABSL_GUARDED_BY(mutex_);
  // The tables that are cached, as the map has them: replaced as a whole, read without a lock in a
  // section of the cache's.
  std::atomic<const Tables*> tables_{nullptr};
  std::atomic<uint64_t> tables_number_{0};  // of changes
  std::unique_ptr<Tables> tables_owned_;
  RetiredPieces<Tables> tables_retired_{cache_.sections()};
  std::unique_ptr<InvalidationNotices> notices_;             // null: nobody wants them
  std::map<std::string, std::shared_ptr<CacheLane>> lanes_;  // by address
  std::map<std::string, Flight> flights_;                    // by key
  uint64_t last_flight_ = 0;
  size_t readers_ = 0;     // of flights_
  double item_bytes_ = 0;  // of what was read lately
  bool is_tending_ = false;
  bool is_shut_down_ = false;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CACHED_READS_H_
