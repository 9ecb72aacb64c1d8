// The thread pool: every chunk once, from any caller, after a resize and after a fork.
#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "base/interrupt.h"
#include "check.h"

using namespace nnfast;

namespace {

// True if each of `chunks` chunks ran once.
bool each_chunk_once(int chunks) {
  std::vector<std::atomic<int>> runs(static_cast<size_t>(chunks));
  parallel_chunks(chunks, [&](int chunk) { ++runs[static_cast<size_t>(chunk)]; });
  for (const auto& count : runs) {
    if (count != 1) return false;
  }
  return true;
}

void test_every_chunk_runs_once() {
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    CHECK(get_num_threads() == threads);
    for (int chunks = 1; chunks <= 40; ++chunks) CHECK(each_chunk_once(chunks));
  }
}

// A worker that still looks at the last job, which had fewer chunks, must not take one of the next
// job's: many short jobs whose number of chunks goes up and down.
void test_short_jobs_in_quick_succession() {
  set_num_threads(3);
  bool good = true;
  for (int round = 0; round < 20000; ++round) good = good && each_chunk_once(2 + 7 * (round % 2));
  CHECK(good);
}

// What a chunk wrote is there for the caller, without any atomics.
void test_results_are_visible() {
  set_num_threads(2);
  std::vector<int64_t> squares(1000);
  for (int round = 0; round < 50; ++round) {
    parallel_chunks(10, [&](int chunk) {
      for (int64_t i = chunk * 100; i < (chunk + 1) * 100; ++i) {
        squares[static_cast<size_t>(i)] = i * i + round;
      }
    });
    bool good = true;
    for (int64_t i = 0; i < 1000; ++i)
      good = good && squares[static_cast<size_t>(i)] == i * i + round;
    CHECK(good);
  }
}

void test_jobs_within_jobs() {
  set_num_threads(4);
  std::atomic<int> runs{0};
  parallel_chunks(6, [&](int) { parallel_chunks(5, [&](int) { ++runs; }); });
  CHECK(runs == 30);
}

void test_several_callers() {
  set_num_threads(3);
  std::atomic<int> bad{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&bad] {
      for (int round = 0; round < 200; ++round) bad += !each_chunk_once(1 + round % 9);
    });
  }
  for (int round = 0; round < 20; ++round) set_num_threads(1 + round % 4);
  for (auto& caller : callers) caller.join();
  CHECK(bad == 0);
}

void test_ranges_cover_everything_once() {
  set_num_threads(3);
  const double much = 1e9;
  for (const ptrdiff_t unit : {1, 4, 16}) {
    for (ptrdiff_t n = 0; n < 100; ++n) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(n));
      std::atomic<int> misaligned{0};
      parallel_ranges(n, unit, much, [&](ptrdiff_t begin, ptrdiff_t end) {
        misaligned += begin % unit != 0;
        for (ptrdiff_t i = begin; i < end; ++i) ++runs[static_cast<size_t>(i)];
      });
      bool good = misaligned == 0;
      for (const auto& count : runs) good = good && count == 1;
      CHECK(good);
    }
  }
}

void test_little_work_stays_with_the_caller() {
  set_num_threads(4);
  const auto caller = std::this_thread::get_id();
  bool alone = true;
  parallel_ranges(100, 1, 1.0, [&](ptrdiff_t, ptrdiff_t) {
    alone = alone && std::this_thread::get_id() == caller;
  });
  CHECK(alone);
  CHECK(chunks_for(0) == 1);
  CHECK(chunks_for(1e9) == 4);
}

// Long work is cut in pieces, between which its caller looks whether to end it; then the others leave too.
void test_long_work_can_be_ended() {
  struct Ended {};
  static std::atomic<bool> wanted{false};
  static std::thread::id caller;
  caller = std::this_thread::get_id();
  set_interrupt_check([] {
    if (wanted && std::this_thread::get_id() == caller) throw Ended();
  });
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (const bool end : {false, true}) {
      wanted = end;
      begin_interruptible_work();
      std::atomic<int> pieces{0};
      bool ended = false;
      try {
        parallel_ranges(300, 1, 9e9, [&](ptrdiff_t, ptrdiff_t) {
          ++pieces;
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        });
      } catch (const Ended&) {
        ended = true;
      }
      CHECK(ended == end);
      CHECK(end ? pieces < 300 : pieces == 300);
      CHECK(each_chunk_once(9));
    }
    const Uninterrupted whole;
    parallel_ranges(300, 1, 9e9, [](ptrdiff_t, ptrdiff_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
  }
  set_interrupt_check(nullptr);
}

void test_scratch_memory() {
  void* here = thread_scratch(100);
  CHECK(reinterpret_cast<uintptr_t>(here) % 64 == 0);
  CHECK(thread_scratch(50) == here);
  auto* more = static_cast<unsigned char*>(thread_scratch(1 << 20));
  more[(1 << 20) - 1] = 1;
  void* there = nullptr;
  std::thread([&there] { there = thread_scratch(100); }).join();
  CHECK(there != more);
}

void test_wrong_sizes_are_refused() {
  for (const int n : {-1, 0, 1025}) {
    bool refused = false;
    try {
      set_num_threads(n);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  }
}

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)
// The child has none of the parent's workers: it must start its own, and the parent's must go on.
void test_fork() {
  set_num_threads(3);
  for (int round = 0; round < 5; ++round) {
    CHECK(each_chunk_once(9));
    const pid_t child = fork();
    if (child == 0) _exit(each_chunk_once(9) && each_chunk_once(4) ? 0 : 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(each_chunk_once(9));
  }
}
#else
// The thread sanitizer cannot follow threads that start after a fork.
void test_fork() {}
#endif

}  // namespace

int main(int count, char** arguments) {
  test_every_chunk_runs_once();
  test_short_jobs_in_quick_succession();
  test_results_are_visible();
  test_jobs_within_jobs();
  test_several_callers();
  test_ranges_cover_everything_once();
  test_little_work_stays_with_the_caller();
  test_long_work_can_be_ended();
  test_scratch_memory();
  test_wrong_sizes_are_refused();
  const bool without_fork = count > 1 && std::strcmp(arguments[1], "--without-fork") == 0;
  if (!without_fork) test_fork();
  return nnfast_test::report("thread_pool_test");
}
