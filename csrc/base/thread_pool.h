// A small persistent thread pool. It runs one job at a time: a function called once for each chunk
// 0 .. n-1, on the caller and the workers. Chunks are claimed one by one, so a late worker (asleep,
// or descheduled) delays nobody: the caller does its share.
//
// Workers spin for about 50 us after their last chunk and then sleep, so that an idle process uses
// no processor time. A caller that finds the pool busy runs its job alone.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/aligned.h"
#include "base/types.h"

namespace nnfast {

// Called with the index of the chunk.
using ChunkFunction = void (*)(void* context, int chunk);

int get_num_threads();
// 1 <= n <= 1024. Takes effect with the next job.
void set_num_threads(int n);

// Wakes sleeping workers before a series of jobs, so that the first one finds them awake.
void wake_workers();

// Runs function(context, chunk) for 0 <= chunk < chunks and returns when all have finished,
// rethrowing the first exception. Must not be called from within a chunk.
void run_chunks(int chunks, ChunkFunction function, void* context);
constexpr int kMaxChunks = 1024;  // jobs with more chunks are run by the caller alone

// Throws, to be caught by the pool, if another chunk of the same job has thrown.
void leave_failed_job();

template <class Body>
void parallel_chunks(int chunks, const Body& body) {
  if (chunks == 1) {
    body(0);
    return;
  }
  run_chunks(
      chunks, [](void* context, int chunk) { (*static_cast<const Body*>(context))(chunk); },
      const_cast<Body*>(&body));
}

// While it exists (and if enabled), this thread does alone what it would otherwise share.
class WorkAlone {
 public:
  explicit WorkAlone(bool wanted);
  ~WorkAlone();
  WorkAlone(const WorkAlone&) = delete;
  WorkAlone& operator=(const WorkAlone&) = delete;

 private:
  bool before_;
};
bool works_alone();

// Whether no worker sleeps, i.e. whether sharing is cheap.
bool workers_are_awake();

// Whether this thread asked the same a moment ago, so that workers woken now would probably get
// more work before they sleep again.
bool is_stretch_of_work();

// Number of chunks that are worthwhile for work of the given size; `cost` is in units of about a
// nanosecond.
inline int chunks_for(double cost) {
  constexpr double kWorthSharing = 10000, kWorthWaking = 40000;
  if (cost < kWorthSharing || works_alone()) return 1;
  const int threads = get_num_threads();
  if (threads == 1) return 1;
  if (cost < kWorthWaking && !workers_are_awake() && !is_stretch_of_work()) return 1;
  const int useful = static_cast<int>(cost / (kWorthSharing / 2));
  return useful < threads ? useful : threads;
}

// Splits n items, in multiples of `unit`, into `chunks` and calls body(begin, end) for each.
template <class Body>
void split_ranges(ptrdiff_t n, ptrdiff_t unit, ptrdiff_t chunks, const Body& body) {
  const ptrdiff_t units = (n + unit - 1) / unit;
  if (chunks > units) chunks = units;
  if (chunks <= 1) {
    if (n > 0) body(ptrdiff_t(0), n);
    return;
  }
  parallel_chunks(static_cast<int>(chunks), [&](int chunk) {
    const ptrdiff_t begin = units * chunk / chunks * unit;
    const ptrdiff_t end = units * (chunk + 1) / chunks * unit;
    body(begin, end < n ? end : n);
  });
}

// Likewise, with one chunk per thread, for bodies with much preparation. Long-running bodies call
// check_interrupt().
template <class Body>
void parallel_shares(ptrdiff_t n, ptrdiff_t unit, double cost, const Body& body) {
  split_ranges(n, unit, chunks_for(cost), body);
}

// Likewise, but long work is done in pieces, between which the caller checks for signals.
template <class Body>
void parallel_ranges(ptrdiff_t n, ptrdiff_t unit, double cost, const Body& body) {
  constexpr double kPiece = 1e7;
  ptrdiff_t chunks = chunks_for(cost);
  if (cost > kPiece * static_cast<double>(chunks))
    chunks = static_cast<ptrdiff_t>(cost < kPiece * kMaxChunks ? cost / kPiece + 1 : kMaxChunks);
  split_ranges(n, unit, chunks, body);
}

// Scratch memory of this thread, 64-byte aligned, at least `bytes` long; kept and reused. The
// memory used by chunks is separate from that which the caller of a job lends to all of them.
enum class Scratch { of_chunk, of_job };
void* thread_scratch(size_t bytes, Scratch which = Scratch::of_chunk);

template <class T>
T* scratch_of(index_t elements, Scratch which = Scratch::of_chunk) {
  return static_cast<T*>(thread_scratch(sizeof(T) * static_cast<size_t>(elements), which));
}

// While it exists, this thread may begin other work in the middle of a job: it finds no scratch memory in
// use, works alone and is no part of that job.
class JobSetAside {
 public:
  JobSetAside();
  ~JobSetAside();
  JobSetAside(const JobSetAside&) = delete;
  JobSetAside& operator=(const JobSetAside&) = delete;

 private:
  AlignedBuffer<unsigned char> scratch_[2];
  const std::atomic<bool>* job_;
  WorkAlone alone_;
};

}  // namespace nnfast
