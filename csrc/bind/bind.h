// The parts of the extension module; each adds its functions.
#pragma once

#include <pybind11/pybind11.h>

namespace nnfast::bind {

void add_machine(pybind11::module_& module);
void add_kernels(pybind11::module_& module);
void add_attention_kernels(pybind11::module_& module);
void add_conv_kernels(pybind11::module_& module);
void add_pool_kernels(pybind11::module_& module);
void add_norm_kernels(pybind11::module_& module);
void add_recurrent_kernels(pybind11::module_& module);
void add_augment_kernels(pybind11::module_& module);
void add_elementwise_kernels(pybind11::module_& module);
void add_update_kernels(pybind11::module_& module);
void add_evaluate(pybind11::module_& module);
void add_metrics(pybind11::module_& module);
void add_graph(pybind11::module_& module);
void add_plan(pybind11::module_& module);
void add_predictor(pybind11::module_& module);

}  // namespace nnfast::bind
