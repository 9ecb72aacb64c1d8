// Attention and rotary positions on arrays.
#include <cmath>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "ops/attention/attention.h"
#include "ops/attention/rotary.h"
#include "ops/dropout.h"

namespace nnfast::bind {
namespace {

// Random numbers of the dropout.
struct Dropout {
  double rate;
  uint64_t seed;
  uint32_t step, stream;
};

// q (N, T, H, d), k (N, S, G, d), v (N, S, G, d_value) and a mask (N, S) or (N, T, S), checked.
template <class T>
struct Attended {
  Attention<T> p{};
  py::array q, k, v, mask;
  DropoutParams dropout{};
};

template <class T>
void set_mask(Attended<T>& in, const py::object& mask) {
  if (mask.is_none()) return;
  in.mask = contiguous_array_of<T>(mask, "mask");
  const std::vector<py::ssize_t> by_key = {in.p.rows, in.p.keys},
                                 by_query = {in.p.rows, in.p.queries, in.p.keys};
  in.p.mask_by_query = in.mask.ndim() == 3;
  require(shape_of(in.mask) == by_key || shape_of(in.mask) == by_query, "mask: expected shape ",
          shape_text(by_key), " or ", shape_text(by_query), ", got ", shape_text(in.mask));
  in.p.mask = data_of<T>(in.mask);
}

template <class T>
void attend(Attended<T>& in, const py::array& q, const py::object& k, const py::object& v,
            const py::object& mask, bool causal, double scale, const Dropout& dropout) {
  in.q = q;
  in.k = contiguous_array_of<T>(k, "k");
  in.v = contiguous_array_of<T>(v, "v");
  require(in.q.ndim() == 4 && in.k.ndim() == 4 && in.v.ndim() == 4 && in.q.size() > 0 &&
              in.k.size() > 0 && in.v.size() > 0,
          "q, k, v: expected shapes (N, T, H, d), (N, S, G, d) and (N, S, G, d_value), got ",
          shape_text(in.q), ", ", shape_text(in.k), " and ", shape_text(in.v));
  Attention<T>& p = in.p;
  p.rows = in.q.shape(0);
  p.queries = in.q.shape(1);
  p.heads = in.q.shape(2);
  p.d = in.q.shape(3);
  p.keys = in.k.shape(1);
  p.groups = in.k.shape(2);
  p.d_value = in.v.shape(3);
  const std::vector<py::ssize_t> keys = {p.rows, p.keys, p.groups, p.d},
                                 values = {p.rows, p.keys, p.groups, p.d_value};
  require(shape_of(in.k) == keys && shape_of(in.v) == values,
          "k, v: expected the N and d of q, and in v the S and G of k, got q ", shape_text(in.q),
          ", k ", shape_text(in.k), " and v ", shape_text(in.v));
  require(p.heads % p.groups == 0, "k: expected heads that divide the ", p.heads,
          " heads of q, got ", p.groups);
  require(std::isfinite(scale), "scale: expected a finite number, got ", scale);
  require(dropout.rate >= 0 && dropout.rate < 1, "rate: expected 0 <= rate < 1, got ",
          dropout.rate);
  set_mask(in, mask);
  p.q = data_of<T>(in.q);
  p.k = data_of<T>(in.k);
  p.v = data_of<T>(in.v);
  p.causal = causal;
  p.scale = scale;
  in.dropout = dropout_of(dropout.rate, {dropout.seed, dropout.step, dropout.stream});
  if (dropout.rate > 0) p.dropout = &in.dropout;
}

// Calls body(Attended<T>&) for the type of q.
template <class Body>
py::tuple with_attended(const py::object& q, const py::object& k, const py::object& v,
                        const py::object& mask, bool causal, double scale, const Dropout& dropout,
                        const Body& body) {
  const py::array array = contiguous_array(q, "q");
  return with_type(array, "q", [&](auto t) -> py::tuple {
    Attended<decltype(t)> in;
    attend(in, array, k, v, mask, causal, scale, dropout);
    return body(in, t);
  });
}

template <class T>
std::vector<py::ssize_t> output_shape(const Attention<T>& p) {
  return {p.rows, p.queries, p.heads, p.d_value};
}
template <class T>
std::vector<py::ssize_t> sums_shape(const Attention<T>& p) {
  return {p.rows, p.heads, p.queries};
}

py::tuple attention_forward_py(const py::object& q, const py::object& k, const py::object& v,
                               const py::object& mask, bool causal, double scale, double rate,
                               uint64_t seed, uint32_t step, uint32_t stream,
                               const py::object& out) {
  return with_attended(
      q, k, v, mask, causal, scale, {rate, seed, step, stream}, [&](auto& in, auto t) {
        using T = decltype(t);
        py::array y = output_array<T>(out, output_shape(in.p), "out",
                                      {{in.q, "q"}, {in.k, "k"}, {in.v, "v"}, {in.mask, "mask"}});
        py::array log_sums = new_array<T>(sums_shape(in.p), "q");
        T *to = mutable_data_of<T>(y), *sums = mutable_data_of<T>(log_sums);
        {
          const ReleaseGil release;
          attention_forward(to, sums, in.p);
        }
        return py::make_tuple(y, log_sums);
      });
}

py::tuple attention_backward_py(const py::object& dy_object, const py::object& y_object,
                                const py::object& sums_object, const py::object& q,
                                const py::object& k, const py::object& v, const py::object& mask,
                                bool causal, double scale, double rate, uint64_t seed,
                                uint32_t step, uint32_t stream) {
  return with_attended(
      q, k, v, mask, causal, scale, {rate, seed, step, stream}, [&](auto& in, auto t) {
        using T = decltype(t);
        const py::array dy = array_with_shape<T>(dy_object, output_shape(in.p), "dy"),
                        y = array_with_shape<T>(y_object, output_shape(in.p), "y"),
                        sums = array_with_shape<T>(sums_object, sums_shape(in.p), "log_sums");
        py::array dq = new_array<T>(shape_of(in.q), "q"), dk = new_array<T>(shape_of(in.k), "k"),
                  dv = new_array<T>(shape_of(in.v), "v");
        const AttentionInputGradients<T> to = {mutable_data_of<T>(dq), mutable_data_of<T>(dk),
                                               mutable_data_of<T>(dv)};
        {
          const ReleaseGil release;
          attention_backward(to, data_of<T>(dy), data_of<T>(y), data_of<T>(sums), in.p);
        }
        return py::make_tuple(dq, dk, dv);
      });
}

py::array rotary_py(const py::object& object, const py::object& offsets, double base,
                    bool interleaved, bool inverse, const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  require(x.ndim() == 4 && x.shape(3) % 2 == 0,
          "x: expected shape (N, T, H, d) with an even d, got ", shape_text(x));
  require(std::isfinite(base) && base > 0, "base: expected a finite number above 0, got ", base);
  return with_type(x, "x", [&](auto t) -> py::array {
    using T = decltype(t);
    py::array from;
    if (!offsets.is_none()) from = array_with_shape<T>(offsets, {x.shape(0)}, "offsets");
    py::array y =
        output_array<T>(out, shape_of(x), "out", {{x, "x", Sharing::whole}, {from, "offsets"}});
    const T* starts = offsets.is_none() ? nullptr : data_of<T>(from);
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    const Rotary<T> rotary(x.shape(1), x.shape(2), x.shape(3), base, interleaved);
    rotary.rotate(to, data_of<T>(x), x.shape(0), starts, inverse);
    return y;
  });
}

}  // namespace

void add_attention_kernels(py::module_& module) {
  using py::arg;
  module.def("attention_forward", &attention_forward_py, arg("q"), arg("k"), arg("v"), arg("mask"),
             arg("causal"), arg("scale"), arg("rate"), arg("seed"), arg("step"), arg("stream"),
             arg("out"));
  module.def("attention_backward", &attention_backward_py, arg("dy"), arg("y"), arg("log_sums"),
             arg("q"), arg("k"), arg("v"), arg("mask"), arg("causal"), arg("scale"), arg("rate"),
             arg("seed"), arg("step"), arg("stream"));
  module.def("rotary", &rotary_py, arg("x"), arg("offsets"), arg("base"), arg("interleaved"),
             arg("inverse"), arg("out"));
}

}  // namespace nnfast::bind
