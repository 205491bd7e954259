// Protects what everything above relies on: tasks of an executor run one at a time and in order.
#include "common/executor.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "common/mutex.h"

namespace ringleader {
namespace {

class Gate {
 public:
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.NotifyAll();
  }
  void Wait() {
    MutexLock lock(mutex_);
    while (!open_) changed_.Wait(lock);
  }

 private:
  Mutex mutex_;
  Condition changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(ExecutorTest, RunsTasksOfManyThreadsOneAtATimeAndEachThreadsInOrder) {
  auto executor = SystemThreads().Start("test");
  std::vector<int> last(4, -1);  // no lock: only tasks touch it
  Gate done;
  int remaining = 4 * 1000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        executor->Post([&, t, i] {
          EXPECT_TRUE(executor->IsCurrent());
          EXPECT_EQ(last[t], i - 1);
          last[t] = i;
          if (--remaining == 0) done.Open();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.Wait();
  EXPECT_FALSE(executor->IsCurrent());
}

TEST(ExecutorTest, TimersFireInOrderOfTheirTimeAndNotWhenCancelled) {
  auto executor = SystemThreads().Start("test");
  std::vector<int> fired;
  Gate done;
  executor->Post([&] {
    executor->PostAfter(std::chrono::milliseconds(20), [&] {
      fired.push_back(2);
      done.Open();
    });
    executor->PostAfter(std::chrono::milliseconds(1), [&] { fired.push_back(1); });
    const TimerId cancelled =
        executor->PostAfter(std::chrono::milliseconds(0), [&] { fired.push_back(99); });
    executor->Cancel(cancelled);
    executor->Cancel(cancelled);
    executor->Cancel(0);
  });
  done.Wait();
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
}

TEST(ExecutorTest, StoppingDestroysWhatIsQueuedAndRunsNoTimer) {
  auto executor = SystemThreads().Start("test");
  Gate running, release;
  auto owned = std::make_shared<int>(1);
  std::weak_ptr<int> watch = owned;
  executor->Post([&] {
    running.Open();
    release.Wait();
  });
  executor->Post([owned] {});
  executor->PostAfter(std::chrono::hours(1), [owned] { FAIL() << "ran after the stop"; });
  owned.reset();
  running.Wait();
  std::thread stop([&] { executor.reset(); });
  release.Open();
  stop.join();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace ringleader
