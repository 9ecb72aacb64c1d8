#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/aligned.h"
#include "base/check.h"
#include "base/cpu.h"
#include "base/interrupt.h"
#include "base/thread_local.h"

namespace nnfast {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(50);
constexpr int kSpinsBeforeYield = 500;  // about 20 us

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  __asm__ volatile("yield");
#endif
}

constexpr int kMaxThreads = 1024;

// Reason to end a chunk early: another chunk of the job has thrown.
struct JobFailed {};

// Set in the job whose chunk this thread is running, once one of its chunks has thrown.
NNF_THREAD_LOCAL const std::atomic<bool>* failed_job = nullptr;
NNF_THREAD_LOCAL bool alone = false;

// The current job. `ticket` holds its number (48 bits, which never overflow) and its number of
// chunks (16 bits). A chunk is claimed by replacing an older number with the job's; all chunks of a
// finished job carry its number or a later one, so a late worker finds nothing to claim.
struct alignas(64) Job {
  std::atomic<uint64_t> ticket{0};
  std::atomic<ChunkFunction> function{nullptr};
  std::atomic<void*> context{nullptr};
  alignas(64) std::atomic<int> done{0};
  alignas(64) std::atomic<uint64_t> claimed[kMaxChunks] = {};
};

int chunk_count(uint64_t ticket) { return static_cast<int>(ticket & 0xffffu); }
uint64_t job_number(uint64_t ticket) { return ticket >> 16; }

// Value of an environment variable, or 0 if it is not a number from 1 to kMaxThreads.
int number_in(const char* text) {
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  while (*end == ' ') ++end;
  // The first entry of OpenMP's list; the others are for nested regions.
  const bool ends = *end == '\0' || *end == ',';
  return end != text && ends && number >= 1 && number <= kMaxThreads ? static_cast<int>(number) : 0;
}

// NNFAST_NUM_THREADS is binding; OMP_NUM_THREADS, which job runners set so that their processes
// share the machine, is an upper limit.
int default_threads() {
  const int processors = available_processors();
  const char* own = std::getenv("NNFAST_NUM_THREADS");
  if (own && *own) {
    const int number = number_in(own);
    require(number > 0 && std::strchr(own, ',') == nullptr,
            "NNFAST_NUM_THREADS: expected a number of threads from 1 to ", kMaxThreads, ", got '",
            own, "'; unset it for all processors");
    return number;
  }
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  const int limit = openmp ? number_in(openmp) : 0;
  return limit > 0 && limit < processors ? limit : processors;
}

class Pool {
 public:
  Pool() : threads_(default_threads()) {}

  // At process exit: later jobs, of threads that are still running, are run by their callers.
  void shut_down() {
    busy_.lock();
    stop();
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void resize(int n) {
    const std::lock_guard<std::mutex> busy(busy_);
    if (n == threads()) return;
    stop();
    threads_.store(n, std::memory_order_relaxed);
  }

  bool all_awake() const {
    return started_.load(std::memory_order_relaxed) &&
           sleepers_.load(std::memory_order_relaxed) == 0;
  }

  void wake() {
    const std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    if (threads() == 1 || !busy.owns_lock()) return;
    start();
    wake_sleepers();
  }

  void run(int chunks, ChunkFunction function, void* context) {
    if (threads() == 1 || alone || chunks > kMaxChunks || !busy_.try_lock()) {
      for (int chunk = 0; chunk < chunks; ++chunk) {
        function(context, chunk);
        if (chunks > threads()) check_interrupt();
      }
      return;
    }
    const std::lock_guard<std::mutex> busy(busy_, std::adopt_lock);
    start();
    caller_processor_.store(current_processor(), std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    job_.done.store(0, std::memory_order_relaxed);
    job_.function.store(function, std::memory_order_relaxed);
    job_.context.store(context, std::memory_order_relaxed);
    const uint64_t ticket = ++number_ << 16 | static_cast<uint64_t>(chunks);
    job_.ticket.store(ticket, std::memory_order_seq_cst);
    wake_sleepers();
    work(0);
    // Yielding returns the processor to a worker that has lost it, perhaps to this very loop.
    for (int spins = 0; job_.done.load(std::memory_order_acquire) < chunks; ++spins) {
      if (spins < kSpinsBeforeYield) {
        pause();
      } else {
        std::this_thread::yield();
        guarded([] { check_interrupt(); });
      }
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  // In a forked child the workers do not exist; their handles must be dropped without a join.
  void forget_workers() {
    for (auto& worker : workers_) static_cast<void>(worker.release());
    workers_.clear();
    started_.store(false, std::memory_order_relaxed);
    new (&sleep_mutex_) std::mutex;
    new (&sleep_signal_) std::condition_variable;
    new (&busy_) std::mutex;
    sleepers_.store(0, std::memory_order_relaxed);
  }
  void before_fork() { busy_.lock(); }
  void after_fork_in_parent() { busy_.unlock(); }

 private:
  void start() {
    if (!workers_.empty()) return;
    stopping_.store(false, std::memory_order_relaxed);
    const int count = threads() - 1;
    workers_.reserve(static_cast<size_t>(count));
    try {
      for (int i = 0; i < count; ++i) {
        workers_.push_back(std::make_unique<std::thread>([this, i] { loop(i + 1); }));
      }
    } catch (const std::system_error&) {
      // No more threads are available: the existing ones, or the caller alone, do the work.
    }
    started_.store(true, std::memory_order_relaxed);
  }

  void stop() {
    stopping_.store(true, std::memory_order_seq_cst);
    {
      const std::lock_guard<std::mutex> lock(sleep_mutex_);
      sleep_signal_.notify_all();
    }
    for (auto& worker : workers_) worker->join();
    workers_.clear();
    started_.store(false, std::memory_order_relaxed);
  }

  void wake_sleepers() {
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
    ++wakes_;
    sleep_signal_.notify_all();
  }

  // The first exception is rethrown at the end of the job, because other threads still use the
  // caller's stack.
  template <class Body>
  void guarded(const Body& body) {
    try {
      body();
    } catch (const JobFailed&) {
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      failed_.store(true, std::memory_order_relaxed);
    }
  }

  void run_chunk(ChunkFunction function, void* context, int chunk, bool in_pieces) {
    if (failed_.load(std::memory_order_relaxed)) return;
    failed_job = &failed_;
    guarded([&] {
      function(context, chunk);
      if (in_pieces) check_interrupt();
    });
    failed_job = nullptr;
  }

  // Claims and runs chunks until none is left; returns whether there was one. Each thread starts at
  // the chunk with its own index, so that from job to job it gets the same part of the data, which
  // is still in its caches.
  bool work(int thread) {
    const uint64_t ticket = job_.ticket.load(std::memory_order_seq_cst);
    const int chunks = chunk_count(ticket);
    const uint64_t number = job_number(ticket);
    const ChunkFunction function = job_.function.load(std::memory_order_relaxed);
    void* context = job_.context.load(std::memory_order_relaxed);
    bool worked = false;
    for (int i = 0; i < chunks; ++i) {
      const int chunk = (thread + i) % chunks;
      uint64_t owner = job_.claimed[chunk].load(std::memory_order_relaxed);
      if (owner >= number) continue;
      if (!job_.claimed[chunk].compare_exchange_strong(owner, number, std::memory_order_acq_rel))
        continue;
      run_chunk(function, context, chunk, chunks > threads());
      job_.done.fetch_add(1, std::memory_order_release);
      worked = true;
    }
    return worked;
  }

  void loop(int thread) {
    auto last_work = std::chrono::steady_clock::now();
    while (!stopping_.load(std::memory_order_relaxed)) {
      avoid_caller();
      if (work(thread)) {
        last_work = std::chrono::steady_clock::now();
        continue;
      }
      for (int i = 0; i < 16; ++i) pause();
      if (std::chrono::steady_clock::now() - last_work > kSpinTime) {
        sleep();
        last_work = std::chrono::steady_clock::now();
      }
    }
  }

  // A worker placed on the caller's processor, whether new or just woken, would alternate with it
  // until the next scheduler tick: for 20 ms two threads were slower than one.
  void avoid_caller() {
    const int processor = caller_processor_.load(std::memory_order_relaxed);
    if (processor >= 0 && current_processor() == processor) {
      const AwayFromProcessor moves(processor);
    }
  }

  void sleep() {
    // Woken on the caller's processor, it might wait there for milliseconds; see avoid_caller().
    const AwayFromProcessor away(caller_processor_.load(std::memory_order_relaxed));
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    const uint64_t wakes = wakes_;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    // A job published before the line above has not seen this sleeper, so check once more.
    if (!has_work()) {
      sleep_signal_.wait(
          lock, [&] { return wakes_ != wakes || stopping_.load(std::memory_order_relaxed); });
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  bool has_work() const {
    const uint64_t ticket = job_.ticket.load(std::memory_order_seq_cst);
    for (int chunk = 0; chunk < chunk_count(ticket); ++chunk) {
      if (job_.claimed[chunk].load(std::memory_order_relaxed) < job_number(ticket)) return true;
    }
    return false;
  }

  Job job_;
  uint64_t number_ = 0;
  std::atomic<int> threads_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleepers_{0};
  std::atomic<int> caller_processor_{-1};
  std::mutex busy_;
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::mutex sleep_mutex_;
  std::condition_variable sleep_signal_;
  uint64_t wakes_ = 0;  // guarded by sleep_mutex_
  std::vector<std::unique_ptr<std::thread>> workers_;
};

// Never destroyed, because threads of the host process may outlive static objects.
Pool& pool() {
  static Pool& instance = *[] {
    auto* made = new Pool;
    std::atexit([] { pool().shut_down(); });
    return made;
  }();
#if !defined(_WIN32)
  static const int registered =
      pthread_atfork([] { instance.before_fork(); }, [] { instance.after_fork_in_parent(); },
                     [] { instance.forget_workers(); });
  static_cast<void>(registered);
#endif
  return instance;
}

}  // namespace

int get_num_threads() { return pool().threads(); }

void set_num_threads(int n) {
  require(n >= 1 && n <= kMaxThreads, "set_num_threads: expected 1 to ", kMaxThreads,
          " threads, got ", n);
  pool().resize(n);
}

void leave_failed_job() {
  if (failed_job && failed_job->load(std::memory_order_relaxed)) throw JobFailed();
}

bool works_alone() { return alone; }
WorkAlone::WorkAlone(bool wanted) : before_(alone) { alone = alone || wanted; }
WorkAlone::~WorkAlone() { alone = before_; }

bool workers_are_awake() { return pool().all_awake(); }

bool is_stretch_of_work() {
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point before{};
  const auto now = Clock::now();
  return now - std::exchange(before, now) < kSpinTime;
}

void wake_workers() { pool().wake(); }

void run_chunks(int chunks, ChunkFunction function, void* context) {
  pool().run(chunks, function, context);
}

namespace {

AlignedBuffer<unsigned char>& scratch_memory(Scratch which) {
  thread_local AlignedBuffer<unsigned char> memory[2];
  return memory[static_cast<int>(which)];
}

}  // namespace

void* thread_scratch(size_t bytes, Scratch which) {
  AlignedBuffer<unsigned char>& scratch = scratch_memory(which);
  if (scratch.size() < bytes) scratch = AlignedBuffer<unsigned char>(bytes);
  return scratch.data();
}

JobSetAside::JobSetAside()
    : scratch_{std::move(scratch_memory(Scratch::of_chunk)),
               std::move(scratch_memory(Scratch::of_job))},
      job_(std::exchange(failed_job, nullptr)),
      alone_(true) {}

JobSetAside::~JobSetAside() {
  scratch_memory(Scratch::of_chunk) = std::move(scratch_[0]);
  scratch_memory(Scratch::of_job) = std::move(scratch_[1]);
  failed_job = job_;
}

}  // namespace nnfast
