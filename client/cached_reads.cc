#include "client/cached_reads.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "model/item_codec.h"
#include "model/key_codec.h"

namespace ringleader::client {
namespace {

constexpr Duration kMapWait = std::chrono::hours(1);
// What an item is taken to have before it has been read.
constexpr size_t kItemBytesExpected = 128;
// Larger ones, on average, take ways on which they hold up no invalidation, if no grant is wanted.
constexpr double kLaneItemBytesMax = 4096;
constexpr double kItemWeight = 1.0 / 16;  // of the newest in the average

}  // namespace

CachedReads::CachedReads(const CacheOptions& options, Router& router, Network& network,
                         Executor& executor, Clock& clock, Random random,
                         const CacheLaneOptions& lane, Executor* application)
    : options_(options),
      lane_options_(lane),
      router_(router),
      network_(network),
      executor_(executor),
      clock_(clock),
      client_(random.Next()),
      cache_(clock, {.bytes_max = options.bytes_max}) {
  if (!options.on_invalidated) return;
  CHECK(application != nullptr);
  notices_ =
      std::make_unique<InvalidationNotices>(options.on_invalidated, cache_, *application, clock);
}

CachedReads::~CachedReads() = default;

// --- Any thread ---------------------------------------------------------------------------------

bool CachedReads::IsWholeItem(const ReadOptions& options) {
  return options.projection.empty() && options.names.empty();
}

// Inside a section of the tables. Null: its items are not cached.
const CachedReads::Table* CachedReads::FindTable(absl::string_view name) const {
  const Tables* const tables = tables_.load(std::memory_order_seq_cst);
  if (tables == nullptr) return nullptr;
  const auto found = tables->by_name.find(name);
  return found == tables->by_name.end() ? nullptr : &found->second;
}

const CachedReads::Table* CachedReads::FindTableOf(const data::v1::Request& request) const {
  if (request.table_case() != data::v1::Request::kTableId) return FindTable(request.table_name());
  const Tables* const tables = tables_.load(std::memory_order_seq_cst);
  if (tables == nullptr) return nullptr;
  const auto found = tables->by_id.find(request.table_id());
  return found == tables->by_id.end() ? nullptr : found->second;
}

// False: there is no such table, or it is no key of it. The node says what is wrong with it.
bool CachedReads::EncodeKeyTo(const Table* table, const Item& key, std::string* bytes) {
  if (table == nullptr) return false;
  const absl::StatusOr<model::KeyView> view = table->schema.ValidateKey(key);
  if (view.ok()) model::EncodeItemKeyTo(table->schema.id, *view, bytes);
  return view.ok();
}

std::optional<std::string> CachedReads::KeyOf(absl::string_view table, const Item& key,
                                              const ReadOptions& options) const {
  if (!IsWholeItem(options)) return std::nullopt;
  const ReadSections::Section section(cache_.sections());
  std::string bytes;
  if (!EncodeKeyTo(FindTable(table), key, &bytes)) return std::nullopt;
  return bytes;
}

// None: it is no get, or not of a whole item, or of a table that is not cached.
std::optional<std::string> CachedReads::KeyOfGet(const data::v1::Request& request) const {
  if (!request.has_get() || request.get().expressions().ByteSizeLong() > 0) return std::nullopt;
  const absl::StatusOr<Item> key = model::DecodeItem(request.get().key());
  if (!key.ok()) return std::nullopt;
  const ReadSections::Section section(cache_.sections());
  std::string bytes;
  if (!EncodeKeyTo(FindTableOf(request), *key, &bytes)) return std::nullopt;
  return bytes;
}

Duration CachedReads::StaleMaxOf(const ReadOptions& options) {
  return options.consistency == Consistency::kEventual
             ? std::max<Duration>(kEventualStaleMax, options.stale_max)
             : Duration(options.stale_max);
}

std::optional<ReadResult> CachedReads::Find(absl::string_view table, const Item& key,
                                            const ReadOptions& options) {
  if (!IsWholeItem(options)) return std::nullopt;
  thread_local std::string bytes;  // allocated once, not for every read
  const uint64_t tables = tables_number_.load(std::memory_order_acquire);
  ReadSections::Section section(cache_.sections());  // of the table and of the item: one is cheaper
  if (!EncodeKeyTo(FindTable(table), key, &bytes)) return std::nullopt;
  std::optional<ReadResult> result;
  result.emplace();
  const ItemCache::Found found =
      cache_.Lookup(section, bytes, StaleMaxOf(options), &result->item_version,
                    [&](model::PackedItem item) { item.UnpackTo(&result->item); });
  if (ItemCache::IsMiss(found)) return std::nullopt;
  result->found = found == ItemCache::Found::kItem;
  result->watched = notices_ != nullptr && tables_number_.load(std::memory_order_acquire) == tables;
  return result;
}

void CachedReads::Read(std::string key, const ReadOptions& options, data::v1::Request request,
                       ReadDone done) {
  BeginSoon(
      std::move(key),
      {.stale_max = StaleMaxOf(options), .request = std::move(request), .done = std::move(done)});
}

void CachedReads::Execute(data::v1::Request request, ResponseCallback done) {
  std::optional<std::string> key = KeyOfGet(request);
  if (!key.has_value()) return router_.Execute(std::move(request), std::move(done));
  const bool is_eventual = request.get().consistency() == data::v1::CONSISTENCY_EVENTUAL;
  const Duration stale_max = is_eventual ? kEventualStaleMax : Duration(0);
  ItemCache::Found found = ItemCache::Found::kMiss;
  auto answer = AnswerFromMemory(*key, stale_max, request.id(), &found);
  if (answer.has_value()) return done(*std::move(answer));
  BeginSoon(*std::move(key),
            {.stale_max = stale_max,
             .is_filling = !is_eventual,
             .request = std::move(request),
             .done = [done = std::move(done)](data::v1::Response response, bool) mutable {
               done(std::move(response));
             }});
}

// In the form of a node's answer.
std::optional<data::v1::Response> CachedReads::AnswerFromMemory(const std::string& key,
                                                                Duration stale_max, uint64_t id,
                                                                ItemCache::Found* found) {
  data::v1::Response response;
  uint64_t version = 0;
  *found = cache_.Lookup(key, stale_max, &version, [&](model::PackedItem item) {
    response.set_item(model::EncodeItem(item.Unpack()));
  });
  if (ItemCache::IsMiss(*found)) return std::nullopt;
  response.set_id(id);
  response.set_found(*found == ItemCache::Found::kItem);
  response.set_item_version(version);
  return response;
}

void CachedReads::BeginSoon(std::string key, Reader reader) {
  reader.began = router_.Now();
  const Duration timeout = reader.request.timeout_ms() == 0
                               ? router_.options().timeout
                               : Duration(std::chrono::milliseconds(reader.request.timeout_ms()));
  reader.timeout = std::min(timeout, router_.options().timeout_max);
  bool is_full = false;
  bool is_first = false;
  {
    MutexLock lock(mutex_);
    is_full = incoming_.size() >= router_.options().requests_max;
    if (!is_full) {
      is_first = incoming_.empty();
      incoming_.emplace_back(std::move(key), std::move(reader));
    }
  }
  // The router refuses what is too much.
  if (is_full) return AskRouter(std::move(reader));
  if (is_first) executor_.Post([this] { TakeIncoming(); });
}

void CachedReads::TakeIncoming() {
  std::vector<std::pair<std::string, Reader>> incoming;
  {
    MutexLock lock(mutex_);
    incoming.swap(incoming_);
  }
  for (auto& [key, reader] : incoming) Begin(std::move(key), std::move(reader));
}

CacheStatistics CachedReads::statistics() const {
  const ItemCache::Statistics now = cache_.statistics();
  return {.hits = now.hits,
          .misses = misses_.value(),
          .joined = joined_.value(),
          .expired = expired_.value(),
          .inserted = now.inserted,
          .refused = now.refused,
          .invalidated = now.invalidated,
          .evicted = now.evicted,
          .entries = now.entries,
          .bytes = now.bytes};
}

// --- Tables -------------------------------------------------------------------------------------

void CachedReads::Start() {
  TakeMap();
  WatchMap();
}

void CachedReads::WatchMap() {
  router_.WhenMapChanges(kMapWait, [this] {
    if (is_shut_down_) return;
    TakeMap();
    WatchMap();
  });
}

bool CachedReads::IsCached(const std::string& table) const {
  const std::vector<std::string>& only = options_.tables;
  return only.empty() || std::find(only.begin(), only.end(), table) != only.end();
}

// What is in memory of a table that is gone was taken back by its partitions before it went.
void CachedReads::TakeMap() {
  auto tables = std::make_unique<Tables>();
  for (const auto& [id, table] : router_.map().tables()) {
    const std::string& name = table->schema.name;
    if (table->description.state() != coordinator::v1::TABLE_STATE_ACTIVE) continue;
    if (!IsCached(name)) continue;
    Table& cached = tables->by_name[name];
    cached = {id, table->schema.version, table->schema};
    tables->by_id[id] = &cached;
  }
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.id == b.second.id &&
           a.second.schema_version == b.second.schema_version;
  };
  const auto& now = tables->by_name;
  if (tables_owned_ != nullptr && std::equal(now.begin(), now.end(), tables_owned_->by_name.begin(),
                                             tables_owned_->by_name.end(), same)) {
    return;
  }
  tables_.store(tables.get(), std::memory_order_seq_cst);
  tables_number_.fetch_add(1, std::memory_order_release);
  if (tables_owned_ != nullptr) tables_retired_.Retire(std::move(tables_owned_));
  tables_owned_ = std::move(tables);
  tables_retired_.Collect();
}

// --- Misses -------------------------------------------------------------------------------------

void CachedReads::Begin(std::string key, Reader reader) {
  if (!is_shut_down_) {
    // It came into memory while the read waited for its turn, or the read did not look before.
    ItemCache::Found found = ItemCache::Found::kMiss;
    auto answer = AnswerFromMemory(key, reader.stale_max, reader.request.id(), &found);
    if (answer.has_value()) return reader.done(*std::move(answer), notices_ != nullptr);
    if (found == ItemCache::Found::kOver) expired_.Add();
  }
  misses_.Add();
  if (is_shut_down_ || !reader.is_filling || readers_ >= router_.options().requests_max) {
    return AskRouter(std::move(reader));
  }
  if (const auto joined = flights_.find(key); joined != flights_.end()) {
    ++readers_;
    joined->second.readers.push_back(std::move(reader));
    return;
  }
  const bool is_worth = cache_.IsWorthAGrant(key, kItemBytesExpected) &&
                        (notices_ == nullptr || notices_->MayWatchMore());
  if (!is_worth) return ReadAlone(key, std::move(reader));
  std::vector<Reader> readers;
  readers.push_back(std::move(reader));
  Fly(key, std::move(readers));
}

// Begins a fill for all of them. There is none for the key.
void CachedReads::Fly(const std::string& key, std::vector<Reader> readers) {
  data::v1::Request request = readers.front().request;
  const std::shared_ptr<CacheLane> lane = is_shut_down_ ? nullptr : LaneTo(key, &request);
  const uint64_t flight = ++last_flight_;
  const bool is_eventual = std::all_of(readers.begin(), readers.end(), [](const Reader& reader) {
    return reader.request.get().consistency() == data::v1::CONSISTENCY_EVENTUAL;
  });
  const Duration wait_max = is_eventual ? kEventualFillMax : Duration::max();
  const bool is_asked = lane != nullptr && lane->Fill(std::move(request), key, wait_max,
                                                      [this, flight, key](auto answer) {
                                                        Filled(key, flight, std::move(answer));
                                                      });
  if (!is_asked) {
    for (Reader& reader : readers) AskRouter(std::move(reader));
    return;
  }
  readers_ += readers.size();
  const size_t early = readers.size();
  flights_.emplace(key, Flight{flight, early, std::move(readers)});
  TendSoon();
}

// On the lane too: its frames carry more then than two half-empty streams would. What any replica
// may answer goes to whichever the router takes.
void CachedReads::ReadAlone(const std::string& key, Reader reader) {
  data::v1::Request request = reader.request;
  const bool suits = request.get().consistency() != data::v1::CONSISTENCY_EVENTUAL &&
                     item_bytes_ <= kLaneItemBytesMax;
  const std::shared_ptr<CacheLane> lane = suits ? LaneTo(key, &request) : nullptr;
  if (lane == nullptr) return AskRouter(std::move(reader));
  const auto waiting = std::make_shared<Reader>(std::move(reader));
  const bool is_asked =
      lane->Read(std::move(request), LeftOf(*waiting), [this, waiting](auto answer) {
        if (!answer.has_value() || answer->response.error() != data::v1::ERROR_NONE) {
          return AskRouter(std::move(*waiting));
        }
        NoteSize(answer->response);
        answer->response.set_id(waiting->request.id());
        waiting->done(std::move(answer->response), false);
      });
  if (!is_asked) return AskRouter(std::move(*waiting));
  TendSoon();
}

void CachedReads::NoteSize(const data::v1::Response& response) {
  if (response.error() != data::v1::ERROR_NONE) return;
  item_bytes_ += (static_cast<double>(response.item().size()) - item_bytes_) * kItemWeight;
}

// Null: the leader is not known, or not to be reached directly.
std::shared_ptr<CacheLane> CachedReads::LaneTo(const std::string& key, data::v1::Request* request) {
  if (router_.options().route == RouteMode::kCoordinators) return nullptr;
  const ClusterMap& map = router_.map();
  if (!map.routable()) return nullptr;
  const coordinator::v1::Partition& partition = *map.FindByToken(model::TokenInKey(key));
  const Leader leader = map.LeaderOf(partition, router_.Now());
  if (leader.address.empty() || router_.IsLeftAlone(leader.address)) return nullptr;
  const MapTable* const table = map.FindTable(model::TableInKey(key));
  if (table == nullptr) return nullptr;
  request->set_table_id(model::TableInKey(key));
  request->set_schema_version(table->schema.version);
  request->mutable_get()->set_consistency(data::v1::CONSISTENCY_LINEARIZABLE);
  request->mutable_route()->set_partition(partition.id());
  request->mutable_route()->set_epoch(partition.epoch());
  std::shared_ptr<CacheLane>& lane = lanes_[leader.address];
  if (lane == nullptr) {
    CacheLane::Observer& observer = *this;
    lane = std::make_shared<CacheLane>(network_, executor_, clock_, cache_, leader.address, client_,
                                       lane_options_, observer);
  }
  return lane;
}

void CachedReads::Inserted(const std::string& key, uint64_t version,
                           const std::shared_ptr<const GrantDeadline>& deadline,
                           const std::vector<ItemCache::Dropped>& dropped) {
  const auto table = tables_owned_->by_id.find(model::TableInKey(key));
  const bool is_gone = table == tables_owned_->by_id.end();
  if (notices_ != nullptr && !is_gone) {
    notices_->Inserted(key, version, deadline, table->second->schema);
  }
  for (const ItemCache::Dropped& each : dropped) {
    GiveBack(each);
    // Also of the new entry itself: a lookup may have found it before it had to go.
    if (notices_ != nullptr) notices_->Gone(each.key, each.deadline.get());
  }
  if (notices_ == nullptr || !is_gone) return;
  // Who finds it sees that the tables are others, and does not count on a notice.
  if (const auto gone = cache_.Drop(key, deadline.get()); gone.has_value()) GiveBack(*gone);
  notices_->Gone(key, nullptr);
}

// To the lane that it is of.
void CachedReads::GiveBack(const ItemCache::Dropped& dropped) {
  for (const auto& [address, lane] : lanes_) lane->GiveBack(dropped);
}

void CachedReads::Erased(const std::string& key, const GrantDeadline* deadline) {
  if (notices_ != nullptr) notices_->Gone(key, deadline);
}

// Invariant 1.
void CachedReads::Filled(const std::string& key, uint64_t flight,
                         std::optional<CacheLane::Answer> answer) {
  const auto found = flights_.find(key);
  // The time of its readers was over.
  if (found == flights_.end() || found->second.number != flight) return;
  std::vector<Reader> readers = std::move(found->second.readers);
  const size_t early = found->second.early;
  flights_.erase(found);
  readers_ -= readers.size();
  const bool is_read = answer.has_value() && answer->response.error() == data::v1::ERROR_NONE;
  const bool is_watched = is_read && answer->holds_now && notices_ != nullptr &&
                          notices_->IsWatched(key, answer->response.item_version());
  const size_t answered = !is_read ? 0 : answer->holds_now ? readers.size() : early;
  for (size_t i = 0; i < answered; ++i) {
    if (i > 0) joined_.Add();
    data::v1::Response response = i + 1 < answered ? answer->response : std::move(answer->response);
    response.set_id(readers[i].request.id());
    readers[i].done(std::move(response), is_watched);
  }
  if (answered == readers.size()) return;
  readers.erase(readers.begin(), readers.begin() + static_cast<int64_t>(answered));
  if (is_read) return Fly(key, std::move(readers));
  for (Reader& reader : readers) AskRouter(std::move(reader));
}

Duration CachedReads::LeftOf(const Reader& reader) const {
  return reader.timeout - (router_.Now() - reader.began);
}

// With what is left of its time.
void CachedReads::AskRouter(Reader reader) {
  const int64_t left_ms = LeftOf(reader) / std::chrono::milliseconds(1);
  reader.request.set_timeout_ms(static_cast<uint32_t>(std::max<int64_t>(1, left_ms)));
  router_.Execute(std::move(reader.request),
                  [this, done = std::move(reader.done)](data::v1::Response response) mutable {
                    NoteSize(response);
                    done(std::move(response), false);
                  });
}

// --- What time brings ---------------------------------------------------------------------------

// Only while something is held or asked for.
void CachedReads::TendSoon() {
  if (std::exchange(is_tending_, true)) return;
  executor_.PostAfter(CacheLane::kTendPeriod, [this] {
    is_tending_ = false;
    if (!is_shut_down_) Tend();
  });
}

void CachedReads::Tend() {
  bool again = notices_ != nullptr && notices_->Tend([this](const auto& gone) { GiveBack(gone); });
  for (const auto& [address, lane] : lanes_) {
    again |= lane->Tend();
    // The router has found out since that there is no answer to be had.
    if (router_.IsLeftAlone(address)) lane->GiveUpFills();
  }
  ExpireReaders();
  if (again || !flights_.empty()) TendSoon();
}

void CachedReads::ExpireReaders() {
  const Duration now = router_.Now();
  std::vector<Reader> expired;
  for (auto at = flights_.begin(); at != flights_.end();) {
    std::vector<Reader>& readers = at->second.readers;
    for (size_t i = readers.size(); i-- > 1;) {
      if (now - readers[i].began < readers[i].timeout) continue;
      if (i < at->second.early) --at->second.early;
      expired.push_back(std::move(readers[i]));
      readers.erase(readers.begin() + static_cast<int64_t>(i));
    }
    const bool first_is_over = now - readers[0].began >= readers[0].timeout;
    if (!first_is_over) {
      ++at;
      continue;
    }
    // Those that joined go their own way.
    for (Reader& reader : readers) expired.push_back(std::move(reader));
    at = flights_.erase(at);
  }
  readers_ -= expired.size();
  for (Reader& reader : expired) AskRouter(std::move(reader));
}

void CachedReads::Leave(absl::AnyInvocable<void()> done) {
  is_shut_down_ = true;
  struct Leaving {
    size_t lanes;
    absl::AnyInvocable<void()> done;
  };
  const auto leaving = std::make_shared<Leaving>(Leaving{lanes_.size(), std::move(done)});
  const auto end = [leaving] {
    if (leaving->done) std::exchange(leaving->done, nullptr)();
  };
  if (lanes_.empty()) return end();
  for (const ItemCache::Dropped& each : cache_.Clear()) GiveBack(each);
  executor_.PostAfter(kLeaveMax, end);
  for (const auto& [address, lane] : lanes_) {
    lane->Leave([leaving, end] {
      if (--leaving->lanes == 0) end();
    });
  }
}

void CachedReads::Shutdown() {
  is_shut_down_ = true;
  for (const auto& [address, lane] : lanes_) lane->Close();
}

}  // namespace ringleader::client
