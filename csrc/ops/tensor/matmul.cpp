#include "ops/tensor/matmul.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/gemm/gemm.h"

namespace nnfast {
namespace {

// The same product C = A B for every place of some axes. Axes along which only C stands still are
// summed over.
template <class T>
class Products {
 public:
  explicit Products(const Gemm<T>& product) : product_(product) {}

  // An axis outside of all others so far, with the steps between its places. Where they continue the
  // rows of A and C, or the terms of the sum, all its products are one.
  void add(index_t size, index_t a, index_t b, index_t c) {
    Gemm<T>& p = product_;
    if (size == 1) return;
    if (b == 0 && (p.m == 1 || (a == p.m * p.a_row && c == p.m * p.c_row))) {
      if (p.m == 1) {
        p.a_row = a;
        p.c_row = c;
      }
      p.m *= size;
    } else if (c == 0 && (p.k == 1 || (a == p.k * p.a_k && b == p.k * p.b_k))) {
      if (p.k == 1) {
        p.a_k = a;
        p.b_k = b;
      }
      p.k *= size;
    } else {
      (c == 0 ? summed_ : kept_).add({size, a, b, c});
    }
  }

  void run() {
    index_t sums = summed_.total();
    if (sums == 0) {  // zeros
      product_.k = 0;
      summed_.count = 0;
      sums = 1;
    }
    const index_t products = kept_.total();
    const double cost = 2.0 * static_cast<double>(product_.m) * static_cast<double>(product_.n) *
                        static_cast<double>(product_.k * sums) * (sizeof(T) / 4.0) / kFlopsPerUnit;
    const bool shares_products =
        products >= kProductsPerThread * get_num_threads() || cost < kSmall;
    if (!shares_products) {
      for (index_t i = 0; i < products; ++i) multiply(i, sums);
      return;
    }
    parallel_ranges(products, 1, (cost + kCall) * static_cast<double>(products),
                    [&](index_t begin, index_t end) {
                      const WorkAlone alone(true);
                      for (index_t i = begin; i < end; ++i) multiply(i, sums);
                    });
  }

 private:
  static constexpr double kFlopsPerUnit = 100;  // as in gemm.cpp
  static constexpr double kCall = 100;          // of gemm(), besides
  // Products that are shared out whole: many, or small ones.
  static constexpr index_t kProductsPerThread = 4;
  static constexpr double kSmall = 20000;

  struct Axis {
    index_t size, a, b, c;
  };
  struct Axes {
    int count = 0;
    Axis axis[kMaxAxes];

    void add(const Axis& added) { axis[count++] = added; }
    index_t total() const {
      index_t n = 1;
      for (int i = 0; i < count; ++i) n *= axis[i].size;
      return n;
    }
    // The factors and the result at place i, with the axis added first running fastest.
    Gemm<T> at(Gemm<T> p, index_t i) const {
      for (int axes = 0; axes < count; ++axes) {
        const Axis& own = axis[axes];
        const index_t place = i % own.size;
        i /= own.size;
        p.a += place * own.a;
        p.b += place * own.b;
        p.c += place * own.c;
      }
      return p;
    }
  };

  void multiply(index_t i, index_t sums) const {
    const Gemm<T> first = kept_.at(product_, i);
    for (index_t k = 0; k < sums; ++k) {
      Gemm<T> p = summed_.at(first, k);
      p.accumulate = k > 0;
      gemm(p);
    }
  }

  Gemm<T> product_;
  Axes kept_, summed_;
};

}  // namespace

Matmul::Matmul(const Dims& a, bool a_transposed, const Dims& b, bool b_transposed)
    : a_transposed_(a_transposed), b_transposed_(b_transposed) {
  const auto from_end = [](const Dims& dims, int i) {
    return i <= dims.rank ? dims.size[dims.rank - i] : index_t(1);
  };
  m_ = a.rank == 1 ? 1 : from_end(a, a_transposed ? 1 : 2);
  k_ = from_end(a, a_transposed ? 2 : 1);
  n_ = b.rank == 1 ? 1 : from_end(b, b_transposed ? 2 : 1);
  a_row_ = a_transposed ? 1 : k_;
  a_k_ = a_transposed ? m_ : 1;
  b_k_ = b_transposed ? 1 : n_;
  b_n_ = b_transposed ? k_ : 1;
  index_t a_step = m_ * k_, b_step = k_ * n_, y_step = m_ * n_;
  for (int i = 3; i <= std::max(a.rank, b.rank); ++i) {
    const index_t of_a = from_end(a, i), of_b = from_end(b, i), size = of_a == 1 ? of_b : of_a;
    axes_[count_++] = {size, of_a == 1 ? 0 : a_step, of_b == 1 ? 0 : b_step, y_step};
    a_step *= of_a;
    b_step *= of_b;
    y_step *= size;
  }
}

template <class T>
void Matmul::forward(T* y, const T* a, const T* b) const {
  Products<T> products({m_, n_, k_, a, a_row_, a_k_, b, b_k_, b_n_, y, n_});
  for (int i = 0; i < count_; ++i)
    products.add(axes_[i].size, axes_[i].a_step, axes_[i].b_step, axes_[i].y_step);
  products.run();
}

template <class T>
void Matmul::gradient_of_a(T* da, const T* dy, const T* b) const {
  // (M, K) = dy b^T, or (K, M) = b dy^T.
  Gemm<T> p = a_transposed_ ? Gemm<T>{k_, m_, n_, b, b_k_, b_n_, dy, 1, n_, da, m_}
                            : Gemm<T>{m_, k_, n_, dy, n_, 1, b, b_n_, b_k_, da, k_};
  p.tiled = true;
  Products<T> products(p);
  for (int i = 0; i < count_; ++i) {
    const auto [size, a_step, b_step, y_step] = axes_[i];
    products.add(size, a_transposed_ ? b_step : y_step, a_transposed_ ? y_step : b_step, a_step);
  }
  products.run();
}

template <class T>
void Matmul::gradient_of_b(T* db, const T* dy, const T* a) const {
  // (K, N) = a^T dy, or (N, K) = dy^T a.
  Gemm<T> p = b_transposed_ ? Gemm<T>{n_, k_, m_, dy, 1, n_, a, a_row_, a_k_, db, k_}
                            : Gemm<T>{k_, n_, m_, a, a_k_, a_row_, dy, n_, 1, db, n_};
  p.tiled = true;
  Products<T> products(p);
  for (int i = 0; i < count_; ++i) {
    const auto [size, a_step, b_step, y_step] = axes_[i];
    products.add(size, b_transposed_ ? y_step : a_step, b_transposed_ ? a_step : y_step, b_step);
  }
  products.run();
}

double Matmul::flops() const {
  double flops = 2.0 * static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_);
  for (int i = 0; i < count_; ++i) flops *= static_cast<double>(axes_[i].size);
  return flops;
}

template void Matmul::forward<float>(float*, const float*, const float*) const;
template void Matmul::forward<double>(double*, const double*, const double*) const;
template void Matmul::gradient_of_a<float>(float*, const float*, const float*) const;
template void Matmul::gradient_of_a<double>(double*, const double*, const double*) const;
template void Matmul::gradient_of_b<float>(float*, const float*, const float*) const;
template void Matmul::gradient_of_b<double>(double*, const double*, const double*) const;

}  // namespace nnfast
