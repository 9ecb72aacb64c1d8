#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
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

namespace nnfast {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  __asm__ volatile("yield");
#endif
}

// The job that workers look at. `ticket` holds its number (32 bits), how many chunks it has (16) and
// the next unclaimed one (16). A claim is a compare-and-swap of the whole, so a worker that read
// the fields of an older job fails to claim and looks again.
struct alignas(64) Job {
  std::atomic<uint64_t> ticket{0};
  std::atomic<ChunkFunction> function{nullptr};
  std::atomic<void*> context{nullptr};
  alignas(64) std::atomic<int> done{0};
};

constexpr int kMostChunks = 0xffff;
int next_chunk(uint64_t ticket) { return static_cast<int>(ticket & 0xffffu); }
int chunk_count(uint64_t ticket) { return static_cast<int>(ticket >> 16 & 0xffffu); }

class Pool {
 public:
  Pool() : threads_(available_processors()) {}
  ~Pool() { stop(); }

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
    if (threads() > 1 && busy_.try_lock()) {
      start();
      wake_sleepers();
      busy_.unlock();
    }
  }

  void run(int chunks, ChunkFunction function, void* context) {
    if (threads() == 1 || chunks > kMostChunks || !busy_.try_lock()) {
      for (int chunk = 0; chunk < chunks; ++chunk) function(context, chunk);
      return;
    }
    const std::lock_guard<std::mutex> busy(busy_, std::adopt_lock);
    start();
    job_.done.store(0, std::memory_order_relaxed);
    job_.function.store(function, std::memory_order_relaxed);
    job_.context.store(context, std::memory_order_relaxed);
    const uint64_t ticket = static_cast<uint64_t>(++number_) << 32 | static_cast<uint64_t>(chunks)
                                                                         << 16;
    job_.ticket.store(ticket, std::memory_order_seq_cst);
    wake_sleepers();
    work();
    while (job_.done.load(std::memory_order_acquire) < chunks) pause();
  }

  // In a forked child no worker lives on; the handles must go without a join.
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
    for (int i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<std::thread>([this] { loop(); }));
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

  // Claims and runs chunks until none is left; true if there was one.
  bool work() {
    bool worked = false;
    for (;;) {
      uint64_t ticket = job_.ticket.load(std::memory_order_seq_cst);
      const int chunk = next_chunk(ticket);
      if (chunk >= chunk_count(ticket)) return worked;
      const ChunkFunction function = job_.function.load(std::memory_order_relaxed);
      void* context = job_.context.load(std::memory_order_relaxed);
      if (!job_.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel))
        continue;
      function(context, chunk);
      job_.done.fetch_add(1, std::memory_order_release);
      worked = true;
    }
  }

  void loop() {
    auto last_work = std::chrono::steady_clock::now();
    while (!stopping_.load(std::memory_order_relaxed)) {
      if (work()) {
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

  void sleep() {
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    const uint64_t wakes = wakes_;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    // A job published before the line above has not seen this sleeper: look once more.
    if (!has_work()) {
      sleep_signal_.wait(
          lock, [&] { return wakes_ != wakes || stopping_.load(std::memory_order_relaxed); });
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  bool has_work() const {
    const uint64_t ticket = job_.ticket.load(std::memory_order_seq_cst);
    return next_chunk(ticket) < chunk_count(ticket);
  }

  Job job_;
  uint32_t number_ = 0;
  std::atomic<int> threads_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleepers_{0};
  std::mutex busy_;
  std::mutex sleep_mutex_;
  std::condition_variable sleep_signal_;
  uint64_t wakes_ = 0;  // under sleep_mutex_
  std::vector<std::unique_ptr<std::thread>> workers_;
};

Pool& pool() {
  static Pool instance;
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
  require(n >= 1 && n <= 1024, "set_num_threads: expected 1 to 1024 threads, got ", n);
  pool().resize(n);
}

bool workers_are_awake() { return pool().all_awake(); }

void wake_workers() { pool().wake(); }

void run_chunks(int chunks, ChunkFunction function, void* context) {
  pool().run(chunks, function, context);
}

void* thread_scratch(size_t bytes) {
  thread_local AlignedBuffer<unsigned char> scratch;
  if (scratch.size() < bytes) scratch = AlignedBuffer<unsigned char>(bytes);
  return scratch.data();
}

}  // namespace nnfast
