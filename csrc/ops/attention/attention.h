// Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762) of whole tensors, on all
// threads. The weights of a head are never all in memory: blocks of 64 queries meet blocks of 256
// keys, as in FlashAttention (Dao et al. 2022, arXiv:2205.14135), and the backward pass computes
// weights again.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// Query head h reads the keys and values of group h / (heads / groups). A query sees the keys whose
// mask is not 0 and, if causal, those up to its own position, where the last query is at the last
// key's.
template <class T>
struct Attention {
  index_t rows, queries, keys;  // N, T, S
  index_t heads, groups;        // H, G: G divides H
  index_t d, d_value;           // of a head
  const T* q;                   // (N, T, H, d)
  const T* k;                   // (N, S, G, d)
  const T* v;                   // (N, S, G, d_value)
  const T* mask = nullptr;      // (N, S), or (N, T, S) if mask_by_query; or null
  bool mask_by_query = false;
  bool causal = false;
  double scale = 1;                        // of the scores
  const DropoutParams* dropout = nullptr;  // of the weights, element (n, h, t, s); or null

  double flops() const;
};

// y (N, T, H, d_value), and for the backward pass log_sums (N, H, T), unless it is null. A row of y
// does not depend on keys that it does not see, not even if they are NaN; it is 0 if it sees none.
template <class T>
void attention_forward(T* y, T* log_sums, const Attention<T>& p);

// Requested gradients, in the shapes of q, k and v; null: not requested.
template <class T>
struct AttentionInputGradients {
  T *dq, *dk, *dv;
};

// From dy and what the forward pass wrote.
template <class T>
void attention_backward(const AttentionInputGradients<T>& out, const T* dy, const T* y,
                        const T* log_sums, const Attention<T>& p);

}  // namespace nnfast
