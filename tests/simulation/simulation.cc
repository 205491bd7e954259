#include "tests/simulation/simulation.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/logging.h"

namespace ringleader::simulation {
namespace {

// Of one virtual second. Messages whose answers bring forth several messages each would fill all
// memory. Of runs that are well, one in twenty has a second with an eighth of it.
constexpr uint64_t kSecondEventsMax = 1'000'000;

}  // namespace

Simulation::Simulation(uint64_t seed) : random_(seed) {
  SetLogOrigin([this] {
    return absl::StrFormat("%.3f %s:", std::chrono::duration<double>(now_).count(),
                           process_ == nullptr ? "simulator" : process_->name());
  });
}

// One by one, in a fixed order: a task's captures may cancel others.
Simulation::~Simulation() {
  for (size_t i = 0; i < slots_.size(); ++i) Cancel(slots_[i].event);
  SetLogOrigin(nullptr);
}

uint64_t Simulation::At(Duration delay, Task task) {
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
    CHECK_LE(slots_.size(), uint64_t{1} << kSlotBits) << "events that are waited for";
  }
  const uint64_t slot = free_slots_.back();
  free_slots_.pop_back();
  const uint64_t event = ++last_event_ << kSlotBits | slot;
  slots_[slot] = {event, std::move(task)};
  queue_.push_back({now_ + std::max(delay, Duration(0)), event});
  std::push_heap(queue_.begin(), queue_.end(), IsLater());
  return event;
}

Simulation::Slot* Simulation::Find(uint64_t event) {
  if (event == 0) return nullptr;
  Slot& slot = slots_[event & ((uint64_t{1} << kSlotBits) - 1)];
  return slot.event == event ? &slot : nullptr;
}

Task Simulation::Take(Slot& slot) {
  free_slots_.push_back(static_cast<uint64_t>(&slot - slots_.data()));
  slot.event = 0;
  return std::move(slot.task);
}

void Simulation::Cancel(uint64_t event) {
  Slot* const slot = Find(event);
  if (slot == nullptr) return;
  // Out of its slot before it is destroyed: a task's captures may cancel others.
  const Task task = Take(*slot);
}

const Simulation::Event* Simulation::Next() {
  while (!queue_.empty() && Find(queue_.front().name) == nullptr) {
    std::pop_heap(queue_.begin(), queue_.end(), IsLater());
    queue_.pop_back();
  }
  return queue_.empty() ? nullptr : &queue_.front();
}

bool Simulation::Step() {
  const Event* const next = Next();
  if (next == nullptr) return false;
  CHECK_GE(next->due, now_) << "time ran backwards";
  now_ = next->due;
  Task task = Take(*Find(next->name));
  std::pop_heap(queue_.begin(), queue_.end(), IsLater());
  queue_.pop_back();
  ++events_;
  if (now_ >= second_began_ + std::chrono::seconds(1)) {
    second_began_ = now_;
    second_events_ = 0;
  }
  CHECK_LT(++second_events_, kSecondEventsMax) << "processes that set each other going";
  task();
  return true;
}

void Simulation::RunFor(Duration span) {
  const Duration end = now_ + span;
  for (const Event* next; (next = Next()) != nullptr && next->due <= end;) Step();
  now_ = end;
}

void Simulation::Trace(uint64_t fact) {
  for (int byte = 0; byte < 8; ++byte) {
    trace_hash_ = (trace_hash_ ^ ((fact >> (8 * byte)) & 0xff)) * 1099511628211u;
  }
}

void Simulation::Trace(absl::string_view fact) {
  for (const char byte : fact) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  }
}

Instant SimulatedClock::Now() const {
  const auto elapsed =
      Duration(static_cast<int64_t>(static_cast<double>(simulation_.now().count()) * rate_)) +
      offset_;
  return Instant{.raw = elapsed, .boot = elapsed + boot_offset_};
}

int64_t SimulatedClock::WallMicros() const {
  constexpr int64_t kStartMicros = 1'700'000'000'000'000;
  const Duration elapsed = simulation_.now() + wall_offset_;
  return kStartMicros + std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count();
}

// Invariants: while `task_event_` is set, a loop event exists that will run the front of `queue_`;
// it is set whenever the queue is not empty, unless the process is paused or the executor is in a
// task.
class SimulatedExecutor : public Executor {
 public:
  SimulatedExecutor(SimulatedThreads& threads, absl::string_view name)
      : threads_(threads), name_(name), number_(++threads.last_executor_) {
    threads_.executors_.emplace(number_, this);
  }

  ~SimulatedExecutor() override { Stop(); }

  void Stop() override {
    CHECK(!running_) << name_ << " is stopped by one of its own tasks";
    if (stopped_) return;
    stopped_ = true;
    threads_.executors_.erase(number_);
    threads_.simulation_.Cancel(task_event_);
    std::map<TimerId, uint64_t> timers = std::move(timers_);
    timers_.clear();
    for (const auto& [timer, event] : timers) threads_.simulation_.Cancel(event);
    const std::deque<Task> dropped = std::move(queue_);
    queue_.clear();
  }

  void Post(Task task) override {
    if (stopped_) return;
    queue_.push_back(std::move(task));
    Arm();
  }

  TimerId PostAfter(Duration delay, Task task) override {
    const TimerId timer = ++last_timer_;
    if (stopped_) return timer;
    auto due = [this, timer, task = std::move(task)]() mutable {
      timers_.erase(timer);
      Post(std::move(task));
    };
    timers_.emplace(timer, threads_.simulation_.At(delay, std::move(due)));
    return timer;
  }

  void Cancel(TimerId timer) override {
    const auto found = timers_.find(timer);
    if (found == timers_.end()) return;
    const uint64_t event = found->second;
    timers_.erase(found);
    threads_.simulation_.Cancel(event);
  }

  bool IsCurrent() const override { return running_; }

  // The front task, now. False: there is none, or it runs already.
  bool RunFront() {
    if (stopped_ || running_ || queue_.empty()) return false;
    threads_.simulation_.Cancel(std::exchange(task_event_, 0));
    Run();
    return true;
  }

  const std::string& name() const { return name_; }

  void Arm() {
    if (queue_.empty() || task_event_ != 0 || running_ || threads_.paused_) return;
    Duration longest = threads_.task_time_max_;
    if (absl::StartsWith(name_, threads_.slow_name_)) {
      longest = std::max(longest, threads_.slow_time_max_);
    }
    const auto wait = Duration(threads_.random_.Between(0, longest.count()));
    task_event_ = threads_.simulation_.At(wait, [this] { RunOne(); });
  }

 private:
  void RunOne() {
    task_event_ = 0;
    if (threads_.paused_) return;  // Resume arms again
    Run();
  }

  void Run() {
    const ProcessScope process(threads_.simulation_, &threads_);
    Task task = std::move(queue_.front());
    queue_.pop_front();
    running_ = true;
    task();
    task = nullptr;  // destroyed as part of the task's turn
    running_ = false;
    Arm();
  }

  SimulatedThreads& threads_;
  const std::string name_;
  const uint64_t number_;
  std::deque<Task> queue_;
  uint64_t task_event_ = 0;
  bool running_ = false;
  bool stopped_ = false;
  std::map<TimerId, uint64_t> timers_;
  TimerId last_timer_ = 0;
};

std::unique_ptr<Executor> SimulatedThreads::Start(absl::string_view name) {
  return std::make_unique<SimulatedExecutor>(*this, name);
}

void SimulatedThreads::Slow(absl::string_view name, Duration task_time_max) {
  slow_name_ = std::string(name);
  slow_time_max_ = task_time_max;
}

bool SimulatedThreads::RunWaitedFor() {
  for (const absl::string_view work : {"compact", "flush", "open"}) {
    for (const auto& [number, executor] : executors_) {
      if (absl::StartsWith(executor->name(), work) && executor->RunFront()) return true;
    }
  }
  return false;
}

void SimulatedThreads::Resume() {
  paused_ = false;
  for (const auto& [number, executor] : executors_) executor->Arm();
}

}  // namespace ringleader::simulation
