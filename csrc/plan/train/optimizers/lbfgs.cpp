// L-BFGS: a quasi-Newton direction from the last moves, and a line search along it (Nocedal, Wright
// 2006, Numerical optimization, 2nd ed., algorithms 7.4, 3.5 and 3.6).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.2;           // nanoseconds per element, approximately
constexpr int64_t kMostPairs = 1000;    // each has two vectors as large as the parameters
constexpr int kMostEvaluations = 25;    // of a line search
constexpr double kDecrease = 1e-4;      // Wolfe's conditions: least decrease of the loss,
constexpr double kCurvature = 0.9;      // and largest slope that is left, in units of the first one
constexpr double kExpansion = 2;        // of the interval, until it contains a minimum
constexpr double kLeastShare = 0.1;     // distance of a trial from the ends of its interval
constexpr double kLeastCosine = 1e-10;  // of a move and the change of the gradient, to be kept

// f(begin, end) for parts of the trained ranges.
template <class F>
void for_ranges(const std::vector<TrainedRange>& trained, const F& f) {
  for (const TrainedRange& span : trained) {
    const double cost = kCost * static_cast<double>(span.size);
    parallel_ranges(span.size, 64, cost,
                    [&](index_t begin, index_t end) { f(span.begin + begin, end - begin); });
  }
}

template <class T>
double dot(const std::vector<TrainedRange>& trained, const T* a, const T* b) {
  double sum = 0;
  for (const TrainedRange& span : trained)
    sum += nnfast::dot(a + span.begin, b + span.begin, span.size);
  return sum;
}

template <class T>
void copy(const std::vector<TrainedRange>& trained, T* y, const T* x) {
  for_ranges(trained, [=](index_t begin, index_t n) {
    std::memcpy(y + begin, x + begin, sizeof(T) * static_cast<size_t>(n));
  });
}

// y = a + scale b
template <class T>
void add(const std::vector<TrainedRange>& trained, T* y, const T* a, const T* b, double scale) {
  for_ranges(trained, [=](index_t begin, index_t n) {
    kernels<T>().add_scaled(y + begin, a + begin, b + begin, n, scale);
  });
}

template <class T>
void scale(const std::vector<TrainedRange>& trained, T* y, const T* x, double factor) {
  for_ranges(trained, [=](index_t begin, index_t n) {
    kernels<T>().scale_shift(y + begin, x + begin, n, factor, 0);
  });
}

// y = x - y
template <class T>
void subtract_from(const std::vector<TrainedRange>& trained, T* y, const T* x) {
  for_ranges(trained, [=](index_t begin, index_t n) {
    kernels<T>().subtract(y + begin, x + begin, y + begin, n);
  });
}

// The loss along a line, and its derivative.
struct Point {
  double at, loss, slope;
};

// The minimum of the cubic polynomial through two points with their slopes (equation 3.59), away
// from both; their middle if one of them is not finite.
double between(const Point& a, const Point& b) {
  const double width = b.at - a.at;
  const double first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.at - b.at);
  const double root = std::copysign(std::sqrt(first * first - a.slope * b.slope), width);
  const double share = 1 - (b.slope + root - first) / (b.slope - a.slope + 2 * root);
  if (!std::isfinite(share) || !std::isfinite(b.loss)) return a.at + width / 2;
  return a.at + width * std::clamp(share, kLeastShare, 1 - kLeastShare);
}

// Looks for a point that satisfies Wolfe's strong conditions; `evaluate` makes a Point of a number.
template <class Evaluate>
class LineSearch {
 public:
  LineSearch(const Point& start, const Evaluate& evaluate) : start_(start), evaluate_(evaluate) {}

  // Algorithm 3.5. The start itself if no point with a smaller loss is found.
  Point run(double first) {
    Point before = start_;
    for (double at = first; evaluations_ < kMostEvaluations; at *= kExpansion) {
      const Point now = look(at);
      if (!decreases(now) || (evaluations_ > 1 && now.loss >= before.loss))
        return zoom(before, now);
      if (is_flat(now)) return now;
      if (now.slope >= 0) return zoom(now, before);
      before = now;
    }
    return before;
  }

 private:
  // Algorithm 3.6: `low` has the smallest loss so far, and the slope there points to `high`.
  Point zoom(Point low, Point high) {
    while (evaluations_ < kMostEvaluations) {
      const double at = between(low, high);
      if (at == low.at || at == high.at) break;
      const Point now = look(at);
      if (!decreases(now) || now.loss >= low.loss) {
        high = now;
        continue;
      }
      if (is_flat(now)) return now;
      if (now.slope * (high.at - low.at) >= 0) high = low;
      low = now;
    }
    return low;
  }

  Point look(double at) {
    ++evaluations_;
    return evaluate_(at);
  }
  bool decreases(const Point& at) const {
    return at.loss <= start_.loss + kDecrease * at.at * start_.slope;
  }
  bool is_flat(const Point& at) const { return std::fabs(at.slope) <= -kCurvature * start_.slope; }

  Point start_;
  const Evaluate& evaluate_;
  int evaluations_ = 0;
};

template <class T>
class Lbfgs final : public UpdateRule<T> {
 public:
  explicit Lbfgs(const NodeSpec& spec) {
    const int64_t pairs = spec.integer_or("history_size", 10);
    require(pairs >= 1 && pairs <= kMostPairs, spec.op, ": expected a history_size from 1 to ",
            kMostPairs, ", got ", pairs);
    pairs_ = static_cast<size_t>(pairs);
    for (const char* kind : {"s_", "y_"}) {
      for (size_t i = 0; i < pairs_; ++i) names_.push_back(kind + std::to_string(i));
    }
    curvature_.resize(pairs_);
    share_.resize(pairs_);
  }

  // The last moves s and what they changed the gradient by, y, the newest first; 0 where there are
  // fewer.
  std::vector<StateVector> state() const override {
    std::vector<StateVector> vectors;
    for (const std::string& name : names_) {
      const Holds holds = name[0] == 's' ? Holds::moves : Holds::gradients;
      vectors.push_back({name.c_str(), holds});
    }
    return vectors;
  }

  bool searches() const override { return true; }

  void update(const Stretch<T>&, double) const override {
    throw StateError(
        "LBFGS: expected a step that can evaluate the loss again, as of fit and train_on_batch");
  }
  double gain(double) const override { return 0; }

  void search(const Search<T>& of, double loss, double learning_rate) const override {
    reserve(of.size);
    T *const start = start_.data(), *const gradient = gradient_.data();
    copy(of.trained, start, of.values);
    copy(of.trained, gradient, of.gradients);
    double last = 0;  // where the loss was evaluated last
    const auto evaluate = [&](double at) -> Point {
      add(of.trained, of.values, start, direction_.data(), at);
      last = at;
      const double found = of.evaluate();
      return {at, found, dot(of.trained, of.gradients, direction_.data())};
    };
    try {
      double at = find(of, loss, learning_rate, count_pairs(of), evaluate);
      if (at == 0 && curvature_[0] > 0) at = find(of, loss, learning_rate, 0, evaluate);
      if (at == 0) copy<T>(of.trained, of.values, start);
      if (at == 0 && last != 0) of.evaluate();
      if (at != 0 && last != at) evaluate(at);
      if (at != 0) keep(of);
    } catch (...) {
      copy<T>(of.trained, of.values, start);
      throw;
    }
  }

 private:
  void reserve(index_t size) const {
    if (direction_.size() == static_cast<size_t>(size)) return;
    for (AlignedBuffer<T>* buffer : {&start_, &gradient_, &direction_})
      *buffer = AlignedBuffer<T>(static_cast<size_t>(size));
  }

  const T* s(const Search<T>& of, size_t i) const { return of.state[i].numbers.data(); }
  const T* y(const Search<T>& of, size_t i) const { return s(of, pairs_ + i); }

  // The number of pairs, and the curvatures s.y. Those stored may come from a file.
  size_t count_pairs(const Search<T>& of) const {
    std::fill(curvature_.begin(), curvature_.end(), 0.0);
    for (size_t i = 0; i < pairs_; ++i) {
      const double curvature = dot(of.trained, s(of, i), y(of, i));
      if (!(curvature > 0) || !std::isfinite(curvature)) return i;
      curvature_[i] = curvature;
    }
    return pairs_;
  }

  // Algorithm 7.4: direction = -H gradient, from the newest `count` pairs.
  void find_direction(const Search<T>& of, size_t count) const {
    T* const d = direction_.data();
    scale(of.trained, d, static_cast<const T*>(gradient_.data()), -1);
    for (size_t i = 0; i < count; ++i) {
      share_[i] = dot<T>(of.trained, s(of, i), d) / curvature_[i];
      add<T>(of.trained, d, d, y(of, i), -share_[i]);
    }
    if (count > 0) scale<T>(of.trained, d, d, curvature_[0] / dot(of.trained, y(of, 0), y(of, 0)));
    for (size_t i = count; i-- > 0;) {
      const double share = share_[i] - dot<T>(of.trained, y(of, i), d) / curvature_[i];
      add<T>(of.trained, d, d, s(of, i), share);
    }
  }

  // How far to go in the direction from the newest `count` pairs; 0 if the loss does not decrease.
  template <class Evaluate>
  double find(const Search<T>& of, double loss, double learning_rate, size_t count,
              const Evaluate& evaluate) const {
    find_direction(of, count);
    const double slope = dot<T>(of.trained, gradient_.data(), direction_.data());
    if (!(slope < 0) || !std::isfinite(slope) || learning_rate == 0) return 0;
    // The gradient has no natural length.
    const double first = count > 0 ? 1 : std::min(1.0, 1 / std::sqrt(-slope));
    const Point start = {0, loss, slope};
    const Point end = LineSearch<Evaluate>(start, evaluate).run(learning_rate * first);
    return end.loss < loss ? end.at : 0;
  }

  // Stores the pair of the move that was made, in place of the oldest one.
  void keep(const Search<T>& of) const {
    subtract_from<T>(of.trained, start_.data(), of.values);
    subtract_from<T>(of.trained, gradient_.data(), of.gradients);
    const T *const move = start_.data(), *const change = gradient_.data();
    const double curvature = dot(of.trained, move, change);
    const double lengths =
        std::sqrt(dot(of.trained, move, move)) * std::sqrt(dot(of.trained, change, change));
    if (!(curvature > kLeastCosine * lengths) || !std::isfinite(lengths)) return;
    for (const size_t first : {size_t(0), pairs_}) {
      for (size_t i = pairs_ - 1; i > 0; --i)
        std::swap(of.state[first + i].numbers, of.state[first + i - 1].numbers);
      const AlignedBuffer<T>& newest = of.state[first].numbers;
      std::memset(newest.data(), 0, newest.size() * sizeof(T));
      copy(of.trained, newest.data(), first == 0 ? move : change);
    }
  }

  size_t pairs_;
  std::vector<std::string> names_;
  mutable std::vector<double> curvature_, share_;  // by pair: s.y, and s.q / s.y of algorithm 7.4
  mutable AlignedBuffer<T> start_, gradient_, direction_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Lbfgs>("lbfgs", "history_size"));

}  // namespace
}  // namespace nnfast::plan
