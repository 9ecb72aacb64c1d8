// Depthwise convolution: every channel has its own window, so a vector consists of channels. Pixels
// outside the image are skipped; adding zeros would give the same sums.

// Outputs [begin, end) of a row, all of whose taps lie inside it.
struct WholeWindows {
  index_t begin, end;
};

NNF_INLINE WholeWindows whole_windows(const TapAxis& a) {
  WholeWindows w{0, 0};
  if (a.first < 0) w.begin = (-a.first + a.step - 1) / a.step;
  const index_t room = a.width - 1 - a.first - (a.taps - 1) * a.spacing;
  if (room >= 0) w.end = room / a.step + 1;
  if (w.begin > a.outputs) w.begin = a.outputs;
  if (w.end > a.outputs) w.end = a.outputs;
  if (w.end < w.begin) w.end = w.begin;
  return w;
}

// The taps [begin, end) of output o that lie inside the row.
struct SeenTaps {
  index_t begin, end;
};

NNF_INLINE SeenTaps seen_taps(const TapAxis& a, index_t o) {
  const index_t at = a.first + o * a.step;
  SeenTaps t{0, 0};
  if (at < 0) t.begin = (-at + a.spacing - 1) / a.spacing;
  if (at < a.width) t.end = (a.width - 1 - at) / a.spacing + 1;
  if (t.end > a.taps) t.end = a.taps;
  if (t.end < t.begin) t.end = t.begin;
  return t;
}

// PIXELS adjacent outputs, all of which read taps [begin, end). TAPS, unless 0, is their number, if
// outputs and taps are one pixel apart: then each pixel of x is read only once for all outputs.
template <class T, int PIXELS, int TAPS>
NNF_OUTLINE void depthwise_pixels(const DepthwiseRow<T>& p, index_t o, index_t begin, index_t end) {
  const TapAxis& a = p.axis;
  const index_t pixel = p.channels, step = a.step * pixel, spacing = a.spacing * pixel;
  const T* x = p.x + (begin < end ? a.first + o * a.step + begin * a.spacing : 0) * pixel;
  const T* kernel = p.kernel + begin * p.kernel_tap;
  T* y = p.y + o * p.y_pixel;
  for_each_vector<T>(p.channels, [=, &p](index_t c, int count) {
    Vec<T> sum[PIXELS];
    const Vec<T> start = p.bias ? load_n(p.bias + c, count) : zero<T>();
    for (int i = 0; i < PIXELS; ++i) sum[i] = start;
    for (index_t r = 0; r < p.rows; ++r) {
      const T* from = x + r * p.x_row + c;
      const T* weight = kernel + r * p.kernel_row + c;
      if (TAPS > 0) {
        constexpr int taps = TAPS > 0 ? TAPS : 1;
        Vec<T> w[taps];
        for (int t = 0; t < taps; ++t) w[t] = load_n(weight + t * p.kernel_tap, count);
        for (int j = 0; j < PIXELS + taps - 1; ++j) {
          const Vec<T> v = load_n(from + j * pixel, count);
          for (int t = 0; t < taps; ++t) {
            if (j >= t && j - t < PIXELS) sum[j - t] = fma(v, w[t], sum[j - t]);
          }
        }
      } else {
        for (index_t t = 0; t < end - begin; ++t) {
          const Vec<T> w = load_n(weight + t * p.kernel_tap, count);
          const T* tap = from + t * spacing;
          for (int i = 0; i < PIXELS; ++i) sum[i] = fma(load_n(tap + i * step, count), w, sum[i]);
        }
      }
    }
    if (p.scaled.scale) {
      const Vec<T> center = load_n(p.scaled.center + c, count);
      const Vec<T> scale = load_n(p.scaled.scale + c, count);
      const Vec<T> shift = load_n(p.scaled.shift + c, count);
      for (int i = 0; i < PIXELS; ++i) sum[i] = fma(sum[i] - center, scale, shift);
    }
    for (int i = 0; i < PIXELS; ++i) {
      store_n(y + i * p.y_pixel + c, p.relu ? max(zero<T>(), sum[i]) : sum[i], count);
    }
  });
}

template <class T, int PIXELS, int TAPS>
NNF_INLINE void depthwise_whole(const DepthwiseRow<T>& p, index_t o, index_t end) {
  for (; o + PIXELS <= end; o += PIXELS) depthwise_pixels<T, PIXELS, TAPS>(p, o, 0, p.axis.taps);
  for (; o < end; ++o) depthwise_pixels<T, 1, 0>(p, o, 0, p.axis.taps);
}

// y (outputs, channels) = start + sum over tap rows and taps of x * kernel, then scaled and max(0,
// .) if requested. Each element is one chain of fma over (row, tap), starting from the bias or 0. y
// must not overlap x or kernel.
template <class T>
void depthwise_row(const DepthwiseRow<T>& p) {
  const TapAxis& a = p.axis;
  const WholeWindows whole = whole_windows(a);
  const auto border = [&](index_t o, index_t end) {
    for (; o < end; ++o) {
      const SeenTaps taps = seen_taps(a, o);
      depthwise_pixels<T, 1, 0>(p, o, taps.begin, taps.end);
    }
  };
  const bool dense = a.step == 1 && a.spacing == 1;
  border(0, whole.begin);
  if (dense && a.taps == 2) {
    depthwise_whole<T, 6, 2>(p, whole.begin, whole.end);
  } else if (dense && a.taps == 3) {
    depthwise_whole<T, 6, 3>(p, whole.begin, whole.end);
  } else if (dense && a.taps == 5) {
    depthwise_whole<T, 6, 5>(p, whole.begin, whole.end);
  } else {
    depthwise_whole<T, 6, 0>(p, whole.begin, whole.end);
  }
  border(whole.end, a.outputs);
}

// Taps [tap, tap + TAPS) of one row over outputs [o, end), all of which use them; VECTORS of
// channels.
template <class T, int TAPS, int VECTORS>
NNF_OUTLINE void depthwise_sums(const DepthwiseGradient<T>& p, T* d_kernel, const T* x, index_t tap,
                                index_t o, index_t end, index_t c, int count) {
  constexpr int lanes = Vec<T>::lanes;
  const TapAxis& a = p.axis;
  T* to = d_kernel + tap * p.pixel + c;
  Vec<T> sum[TAPS][VECTORS];
  for (int t = 0; t < TAPS; ++t) {
    for (int v = 0; v < VECTORS; ++v) sum[t][v] = zero<T>();
  }
  const T* dy = p.dy + o * p.pixel + c;
  const T* from = x + (a.first + o * a.step + tap * a.spacing) * p.pixel + c;
  for (; o < end; ++o, dy += p.pixel, from += a.step * p.pixel) {
    for (int v = 0; v < VECTORS; ++v) {
      const Vec<T> d = load_n(dy + v * lanes, count);
      for (int t = 0; t < TAPS; ++t) {
        const Vec<T> value = load_n(from + t * a.spacing * p.pixel + v * lanes, count);
        sum[t][v] = fma(value, d, sum[t][v]);
      }
    }
  }
  for (int t = 0; t < TAPS; ++t) {
    for (int v = 0; v < VECTORS; ++v) {
      T* at = to + t * p.pixel + v * lanes;
      store_n(at, load_n(at, count) + sum[t][v], count);
    }
  }
}

// Number of outputs of a row whose products form one chain.
constexpr index_t kDepthwiseChain = 256;

// Three taps at a time: with four vectors their sums take 12 registers.
template <class T, int VECTORS>
NNF_INLINE void depthwise_sums_of(const DepthwiseGradient<T>& p, index_t c, int count) {
  const TapAxis& a = p.axis;
  const WholeWindows whole = whole_windows(a);
  for (index_t r = 0; r < p.rows; ++r) {
    T* d_kernel = p.d_kernel + r * p.kernel_row;
    const T* x = p.x + r * p.x_row;
    const auto border = [&](index_t o, index_t end) {
      for (; o < end; ++o) {
        const SeenTaps taps = seen_taps(a, o);
        for (index_t t = taps.begin; t < taps.end; ++t)
          depthwise_sums<T, 1, VECTORS>(p, d_kernel, x, t, o, o + 1, c, count);
      }
    };
    border(0, whole.begin);
    for (index_t o = whole.begin; o < whole.end; o += kDepthwiseChain) {
      const index_t end = whole.end - o < kDepthwiseChain ? whole.end : o + kDepthwiseChain;
      index_t t = 0;
      for (; t + 3 <= a.taps; t += 3)
        depthwise_sums<T, 3, VECTORS>(p, d_kernel, x, t, o, end, c, count);
      for (; t < a.taps; ++t) depthwise_sums<T, 1, VECTORS>(p, d_kernel, x, t, o, end, c, count);
    }
    border(whole.end, a.outputs);
  }
}

// d_kernel (rows, taps, channels) += sum over a row's outputs of x * dy: chains of fma over at most
// 256 outputs in order, each of which is added as a whole. d_kernel must not overlap x or dy.
template <class T>
void depthwise_gradient(const DepthwiseGradient<T>& p) {
  constexpr int lanes = Vec<T>::lanes;
  index_t c = 0;
  for (; c + 4 * lanes <= p.channels; c += 4 * lanes) depthwise_sums_of<T, 4>(p, c, lanes);
  for (; c + 2 * lanes <= p.channels; c += 2 * lanes) depthwise_sums_of<T, 2>(p, c, lanes);
  for (; c + lanes <= p.channels; c += lanes) depthwise_sums_of<T, 1>(p, c, lanes);
  if (c < p.channels) depthwise_sums_of<T, 1>(p, c, static_cast<int>(p.channels - c));
}
