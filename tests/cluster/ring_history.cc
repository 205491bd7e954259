// ring-history: clients that read, write, compare-and-set, add and delete a few keys of a real
// cluster while somebody else breaks it; the history is checked for linearizability at the end.
// Used by the tests of tests/cluster.
//
// After --seconds, or when standard input has a line or ends, the clients stop, and every key is
// written (unless they only read) and read once more: what was acknowledged must be there. What
// those that cache derived from their reads, with on_invalidated, must not be of items that have
// changed. Exit codes: 0 linearizable and enough was done; 1 not; 2 usage. The last line is a JSON
// object.
//
// Several of them may share their keys. Each then has a number, --process, and writes its history
// to a --file instead of checking it, and `ring-history --check FILE,FILE,...` checks what all of
// them saw together. After a line on standard input a process says `stopped` once it changes
// nothing any more, and its last reads wait for the end of standard input: that of all of them.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/options.h"
#include "common/random.h"
#include "ringleader/client.h"
#include "tests/cluster/history.h"

namespace ringleader::cluster {
namespace {

using simulation::RegisterEvent;
using simulation::RegisterOperation;

constexpr uint64_t kCacheBytes = 16 << 20;
constexpr uint64_t kCheckStepsMax = 50'000'000;
// A lease's term and what notices it may take; generous.
constexpr int64_t kNoticesWithinNs = 10'000'000'000;
constexpr int kClientsMax = 256;
constexpr int64_t kValuesPerProcess = 100'000'000;

struct Settings {
  std::vector<std::string> coordinators = {"127.0.0.1:7000"};
  std::string route = "auto";
  std::string table = "history";
  int64_t clients = 8;
  int64_t keys = 16;
  int64_t caching = 0;
  int64_t reads_percent = 45;
  int64_t seconds = 30;
  int64_t think_us = 1000;
  int64_t timeout_ms = 10000;
  int64_t operations_min = 100;
  int64_t final_s = 60;
  int64_t seed = 1;
  int64_t process = 0;
  std::string file;
  std::vector<std::string> check;
};

void Define(OptionSet& options, Settings& settings) {
  options.Add({.name = "coordinators", .help = "host:port of each coordinator."},
              &settings.coordinators);
  options.AddChoice({.name = "route", .help = "How requests reach the data."},
                    {"auto", "direct", "coordinators"}, &settings.route);
  options.Add({.name = "table", .help = "A table that no other run has used."}, &settings.table);
  options.Add(
      {.name = "clients", .help = "Clients, each a library instance with one request at a time."},
      1, kClientsMax, &settings.clients);
  options.Add({.name = "keys", .help = "Keys they share."}, 1, 100000, &settings.keys);
  options.Add({.name = "caching", .help = "How many of the clients keep items in memory."}, 0,
              kClientsMax, &settings.caching);
  options.Add({.name = "reads", .unit = "percent", .help = "Of the operations."}, 0, 100,
              &settings.reads_percent);
  options.Add({.name = "seconds", .help = "How long; standard input's end stops it earlier."}, 1,
              86400, &settings.seconds);
  options.Add({.name = "think", .unit = "us", .help = "The longest pause between two requests."}, 0,
              10000000, &settings.think_us);
  options.Add({.name = "timeout", .unit = "ms", .help = "Of each request."}, 1, 60000,
              &settings.timeout_ms);
  options.Add({.name = "operations-min", .help = "Fewer that succeed are a failure."}, 0, 1 << 30,
              &settings.operations_min);
  options.Add({.name = "final", .unit = "s", .help = "How long the last operations may take."}, 1,
              3600, &settings.final_s);
  options.Add({.name = "seed", .help = "Of the operations."}, 0, 1 << 30, &settings.seed);
  options.Add({.name = "process", .help = "Its number among those whose histories are one."}, 0,
              1000, &settings.process);
  options.Add({.name = "file",
               .help = "Where the history goes, as JSON lines, unchecked; empty: it is checked."},
              &settings.file);
  options.Add({.name = "check", .help = "Checks these files together, and does nothing else."},
              &settings.check);
}

int64_t NowNs() { return SystemClock().Now().raw.count(); }

AttributeValue NumberOf(int64_t value) {
  return AttributeValue::Number(*model::Decimal::Parse(absl::StrCat(value)));
}

int64_t ValueOf(const Item& item) {
  const AttributeValue* value = item.Find("value");
  int64_t number = 0;
  return value != nullptr && absl::SimpleAtoi(value->number().ToString(), &number) ? number : 0;
}

// Whether the library says that an operation was carried out. A failed condition is an answer.
Outcome OutcomeOf(const absl::Status& status) {
  if (status.ok() || KindOf(status) == ErrorKind::kConditionFailed) return Outcome::kDone;
  return KindOf(status) == ErrorKind::kUnknownOutcome ? Outcome::kUnknown : Outcome::kNotDone;
}

// What a client derived from the items that it read, kept as client.h says: here the value itself.
class Derived {
 public:
  // Before a read; what Keep is to be told.
  uint64_t Mark(const std::string& id) {
    MutexLock lock(mutex_);
    kept_[id] = {.mark = ++marks_};
    return marks_;
  }
  void Keep(const std::string& id, uint64_t mark, int64_t value) {
    MutexLock lock(mutex_);
    const auto found = kept_.find(id);
    if (found != kept_.end() && found->second.mark == mark) found->second.value = value;
  }
  void Invalidated(const std::string& id) {
    MutexLock lock(mutex_);
    kept_.erase(id);
    ++notices_;
  }
  // Nothing of an item, or its value.
  bool IsRight(const std::string& id, int64_t value) const {
    MutexLock lock(mutex_);
    const auto found = kept_.find(id);
    return found == kept_.end() || found->second.value.value_or(value) == value;
  }
  int64_t notices() const {
    MutexLock lock(mutex_);
    return notices_;
  }

 private:
  struct Kept {
    uint64_t mark = 0;
    std::optional<int64_t> value;
  };
  mutable Mutex mutex_;
  std::map<std::string, Kept> kept_ ABSL_GUARDED_BY(mutex_);
  uint64_t marks_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t notices_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::string IdOf(int key) { return absl::StrCat("key-", key); }

// One client: a library instance, a thread, one request at a time.
class HistoryClient {
 public:
  HistoryClient(const Settings& settings, int number, std::unique_ptr<Client> client,
                std::shared_ptr<Derived> derived, std::atomic<int64_t>& last_value,
                HistoryFile* file)
      : settings_(settings),
        number_(static_cast<int>(settings.process) * kClientsMax + number),
        caches_(number < settings.caching),
        file_(file),
        derived_(std::move(derived)),
        client_(std::move(client)),
        random_(static_cast<uint64_t>(settings.seed) * 1000 + static_cast<uint64_t>(number_)),
        last_value_(last_value) {}

  void Run(const std::atomic<bool>& stopped) {
    while (!stopped.load()) {
      Once(static_cast<int>(random_.Below(static_cast<uint64_t>(settings_.keys))));
      if (settings_.think_us > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(
            random_.Below(static_cast<uint64_t>(settings_.think_us) + 1)));
      }
    }
  }

  // A write that is tried again until it is acknowledged or `deadline_ns` is past.
  bool FinalWrite(int key, int64_t deadline_ns) {
    while (NowNs() < deadline_ns) {
      RegisterEvent event{.operation = RegisterOperation::kWrite, .input = ++last_value_};
      if (Carry(key, event) == Outcome::kDone) return true;
    }
    return false;
  }

  // A read that is tried again until it is answered or `deadline_ns` is past.
  std::optional<int64_t> FinalRead(int key, int64_t deadline_ns) {
    while (NowNs() < deadline_ns) {
      RegisterEvent event{.operation = RegisterOperation::kRead};
      if (Carry(key, event) == Outcome::kDone) return event.output;
    }
    return std::nullopt;
  }

  const std::vector<HistoryEvent>& history() const { return history_; }
  const std::string& last_error() const { return last_error_; }
  int64_t slowest_ns() const { return slowest_ns_; }
  uint64_t hits() const { return client_->cache_statistics().hits; }
  const Derived& derived() const { return *derived_; }

 private:
  void Once(int key) {
    RegisterEvent event;
    const bool reads = random_.Below(100) < static_cast<uint64_t>(settings_.reads_percent);
    const uint64_t draw = random_.Between(45, 99);
    if (reads) {
      event.operation = RegisterOperation::kRead;
    } else if (draw < 65) {
      event.operation = RegisterOperation::kWrite;
      event.input = ++last_value_;
    } else if (draw < 80) {
      event.operation = RegisterOperation::kCompareAndSet;
      event.expected = seen_.empty() ? 0 : seen_[static_cast<size_t>(key) % seen_.size()];
      event.input = ++last_value_;
    } else if (draw < 95) {
      event.operation = RegisterOperation::kAdd;
      event.input = 1;
    } else {
      event.operation = RegisterOperation::kWrite;  // of 0: a delete
    }
    Carry(key, event);
  }

  Outcome Carry(int key, RegisterEvent& event) {
    event.call = NowNs();
    if (file_ != nullptr && event.operation != RegisterOperation::kRead) {
      file_->Append({number_, caches_, key, event, Outcome::kUnknown});
    }
    const absl::Status status = Send(key, event);
    event.returned = NowNs();
    const Outcome outcome = OutcomeOf(status);
    if (outcome == Outcome::kDone) {
      slowest_ns_ = std::max(slowest_ns_, event.returned - event.call);
      seen_.resize(static_cast<size_t>(settings_.keys));
      if (event.operation == RegisterOperation::kRead) {
        seen_[static_cast<size_t>(key)] = event.output;
      }
    } else {
      last_error_ = std::string(status.message());
    }
    history_.push_back({number_, caches_, key, event, outcome});
    if (file_ != nullptr) file_->Append(history_.back());
    return outcome;
  }

  absl::Status Send(int key, RegisterEvent& event) {
    Item item;
    item.Set("id", AttributeValue::String(IdOf(key)));
    WriteOptions options;
    options.timeout = std::chrono::milliseconds(settings_.timeout_ms);
    switch (event.operation) {
      case RegisterOperation::kRead: {
        const uint64_t mark = derived_->Mark(IdOf(key));
        const auto read = client_->Get(settings_.table, item, {.timeout = options.timeout});
        if (read.ok()) event.output = read->found ? ValueOf(read->item) : 0;
        if (read.ok() && read->watched) derived_->Keep(IdOf(key), mark, event.output);
        return read.status();
      }
      case RegisterOperation::kWrite: {
        if (event.input == 0) return client_->Remove(settings_.table, item, options).status();
        item.Set("value", NumberOf(event.input));
        return client_->Put(settings_.table, item, options).status();
      }
      case RegisterOperation::kCompareAndSet: {
        options.names = {{"#v", "value"}};
        options.condition = event.expected == 0 ? "attribute_not_exists(#v)" : "#v = :old";
        options.values.Set(":new", NumberOf(event.input));
        if (event.expected != 0) options.values.Set(":old", NumberOf(event.expected));
        const auto set = client_->Update(settings_.table, item, "SET #v = :new", options);
        event.output = set.ok() ? 1 : 0;
        return set.status();
      }
      case RegisterOperation::kAdd: {
        options.names = {{"#v", "value"}};
        options.values.Set(":one", NumberOf(event.input));
        options.return_values = ReturnValues::kUpdatedNew;
        const auto added = client_->Update(settings_.table, item, "ADD #v :one", options);
        if (added.ok()) event.output = ValueOf(added->item);
        return added.status();
      }
      case RegisterOperation::kSwap:
        break;  // none is drawn
    }
    return absl::InternalError("no such operation");
  }

  const Settings& settings_;
  const int number_;
  const bool caches_;
  HistoryFile* const file_;  // null: there is none
  const std::shared_ptr<Derived> derived_;
  const std::unique_ptr<Client> client_;
  Random random_;
  std::atomic<int64_t>& last_value_;
  std::vector<int64_t> seen_;  // by key, as last read
  std::vector<HistoryEvent> history_;
  std::string last_error_;
  int64_t slowest_ns_ = 0;
};

using Clients = std::vector<std::unique_ptr<HistoryClient>>;

int Refuse(absl::string_view why) {
  absl::FPrintF(stderr, "ring-history: %s\n", why);
  return 2;
}

absl::StatusOr<Clients> Connect(const Settings& settings, std::atomic<int64_t>& last_value,
                                HistoryFile* file) {
  Clients clients;
  for (int i = 0; i < settings.clients; ++i) {
    const RoutePolicy policy = settings.route == "direct"         ? RoutePolicy::kDirect
                               : settings.route == "coordinators" ? RoutePolicy::kCoordinators
                                                                  : RoutePolicy::kAuto;
    ClientOptions options{.coordinators = settings.coordinators, .route = policy};
    const auto derived = std::make_shared<Derived>();
    if (i < settings.caching) options.cache.bytes_max = kCacheBytes;
    options.cache.on_invalidated = [derived](absl::string_view, const Item& key) {
      derived->Invalidated(key.Find("id")->string());
    };
    auto client = Client::Connect(options);
    if (!client.ok()) return client.status();
    if (i == 0 && !(*client)->DescribeTable(settings.table).ok()) {
      const KeySchema key{.partition = {"id", AttributeType::kString}};
      const auto table = (*client)->CreateTable(settings.table, key);
      if (!table.ok()) return table.status();
    }
    clients.push_back(std::make_unique<HistoryClient>(settings, i, *std::move(client), derived,
                                                      last_value, file));
  }
  return clients;
}

// Until the time is over or standard input has a line or has ended; whether its end is still to
// come.
bool AwaitEnd(int64_t seconds) {
  const int64_t end = NowNs() + seconds * 1'000'000'000;
  while (NowNs() < end) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    char buffer[256];
    if (poll(&input, 1, 100) > 0) return read(STDIN_FILENO, buffer, sizeof buffer) > 0;
  }
  return false;
}

// Says that nothing changes any more, and waits for those who can tell of all processes.
void AwaitOthers() {
  std::puts("stopped");
  std::fflush(stdout);
  char buffer[256];
  while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
  }
}

// What is kept that was derived from an item that is another now, once every notice had its time.
int64_t WrongForGood(const Clients& clients, const std::vector<int64_t>& values) {
  int64_t wrong = 0;
  for (int64_t end_ns = NowNs() + kNoticesWithinNs;; usleep(100'000)) {
    wrong = 0;
    for (const auto& client : clients) {
      for (size_t key = 0; key < values.size(); ++key) {
        wrong += !client->derived().IsRight(IdOf(static_cast<int>(key)), values[key]);
      }
    }
    if (wrong == 0 || NowNs() >= end_ns) return wrong;
  }
}

// By Outcome.
using Counts = std::array<int64_t, 3>;

Counts CountsOf(const std::vector<HistoryEvent>& history) {
  Counts counts = {};
  for (const HistoryEvent& event : history) ++counts[static_cast<size_t>(event.outcome)];
  return counts;
}

std::string JsonOf(const Counts& counts) {
  return absl::StrFormat("\"done\": %d, \"refused\": %d, \"unknown\": %d", counts[0], counts[1],
                         counts[2]);
}

// Whether it is linearizable; says why not.
bool IsLinearizable(const std::vector<HistoryEvent>& history, int keys) {
  const HistoryVerdict verdict = CheckHistory(history, keys, kCheckStepsMax);
  if (!verdict.linearizable) absl::PrintF("not linearizable: %s\n", verdict.explanation);
  return verdict.linearizable;
}

struct Final {
  bool all_written = true;
  bool all_read = true;
  int64_t wrong = 0;  // WrongForGood
};

int Report(const Settings& settings, const Clients& clients, const Final& final) {
  std::vector<HistoryEvent> history;
  int64_t slowest_ns = 0;
  uint64_t hits = 0;
  int64_t notices = 0;
  std::string last_error;
  for (const auto& client : clients) {
    history.insert(history.end(), client->history().begin(), client->history().end());
    slowest_ns = std::max(slowest_ns, client->slowest_ns());
    hits += client->hits();
    notices += client->derived().notices();
    if (!client->last_error().empty()) last_error = client->last_error();
  }
  const Counts counts = CountsOf(history);
  const bool is_right = !settings.file.empty() ||  // others take part in what happened
                        IsLinearizable(history, static_cast<int>(settings.keys));
  const bool enough = counts[0] >= settings.operations_min;
  if (!final.all_written) absl::PrintF("a last write was not acknowledged: %s\n", last_error);
  if (!final.all_read) absl::PrintF("a last read was not answered: %s\n", last_error);
  if (!enough) absl::PrintF("too little was done\n");
  if (final.wrong > 0) {
    absl::PrintF("%d derived values are kept of items that have changed\n", final.wrong);
  }
  absl::PrintF(
      "{%s, \"slowest_ms\": %d, \"cache_hits\": %d, \"notices\": %d, \"last_error\": \"%s\"}\n",
      JsonOf(counts), slowest_ns / 1'000'000, hits, notices,
      absl::StrReplaceAll(last_error, {{"\"", "'"}, {"\\", "/"}, {"\n", " "}}));
  return is_right && final.all_written && final.all_read && enough && final.wrong == 0 ? 0 : 1;
}

int CheckFiles(const std::vector<std::string>& paths) {
  std::vector<HistoryEvent> history;
  int keys = 0;
  for (const std::string& path : paths) {
    const auto read = ReadHistory(path);
    if (!read.ok()) return Refuse(read.status().message());
    history.insert(history.end(), read->begin(), read->end());
    for (const HistoryEvent& event : *read) keys = std::max(keys, event.key + 1);
  }
  const bool is_right = IsLinearizable(history, keys);
  absl::PrintF("{%s}\n", JsonOf(CountsOf(history)));
  return is_right ? 0 : 1;
}

int Run(const Settings& settings) {
  std::optional<HistoryFile> file;
  if (!settings.file.empty()) {
    file.emplace(settings.file);
    if (!file->opened()) return Refuse(absl::StrCat(settings.file, " can't be written"));
  }
  std::atomic<int64_t> last_value{settings.process * kValuesPerProcess};
  const auto clients = Connect(settings, last_value, file.has_value() ? &*file : nullptr);
  if (!clients.ok()) return Refuse(clients.status().message());
  std::puts("running");
  std::fflush(stdout);
  std::atomic<bool> stopped{false};
  std::vector<std::thread> threads;
  for (const auto& client : *clients) {
    threads.emplace_back([&client = *client, &stopped] { client.Run(stopped); });
  }
  const bool others = AwaitEnd(settings.seconds);
  stopped.store(true);
  for (std::thread& thread : threads) thread.join();
  // By the last one, which does not cache unless all do.
  HistoryClient& last = *clients->back();
  Final final;
  const int64_t written_by_ns = NowNs() + settings.final_s * 1'000'000'000;
  for (int key = 0; key < settings.keys && settings.reads_percent < 100; ++key) {
    final.all_written &= last.FinalWrite(key, written_by_ns);
  }
  if (others) AwaitOthers();
  const int64_t read_by_ns = NowNs() + settings.final_s * 1'000'000'000;
  std::vector<int64_t> values;
  for (int key = 0; key < settings.keys; ++key) {
    const std::optional<int64_t> value = last.FinalRead(key, read_by_ns);
    if (value.has_value()) values.push_back(*value);
  }
  final.all_read = values.size() == static_cast<size_t>(settings.keys);
  if (final.all_read) final.wrong = WrongForGood(*clients, values);
  return Report(settings, *clients, final);
}

int Main(int argc, char** argv) {
  Settings settings;
  OptionSet options("ring-history", "Records what clients of a cluster see, and checks it.");
  Define(options, settings);
  ParseOrExit(options, argc, argv);
  return settings.check.empty() ? Run(settings) : CheckFiles(settings.check);
}

}  // namespace
}  // namespace ringleader::cluster

int main(int argc, char** argv) { return ringleader::cluster::Main(argc, argv); }
