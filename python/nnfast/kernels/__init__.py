"""Single kernels on NumPy arrays: for learners, tests and benchmarks.

A `Network` never calls these one by one: it runs a whole step inside the core. They are the same kernels, with the
same bits.

What holds for all of them:

- Arrays are float32 or float64, and all arrays of one call have the same dtype; nothing is cast. Another dtype is a
  TypeError, a wrong shape or memory layout a ValueError; the text says how to mend it. Arrays are C-contiguous unless
  a function says otherwise.
- ``out``, where there is one, receives the result and is returned; it must have the result's shape and dtype and be
  writable. Without it a new array is made.
- The result has the same bits for any number of threads, for a row alone or inside any batch, and on every
  instruction set with fused multiply-add (AVX2, AVX-512, NEON). The x86-64 baseline ("sse2") has none and differs
  from these by rounding alone.
- Non-finite numbers follow IEEE 754 arithmetic; kernels do not look for them.
"""

from nnfast.core.options import module_names
from nnfast.kernels._activation import (
    activation_backward,
    activation_forward,
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)
from nnfast.kernels._array import add, argmax, gather_rows, multiply, reduce_max, reduce_sum
from nnfast.kernels._augment import augment
from nnfast.kernels._conv import conv2d_algorithms, conv2d_backward, conv2d_forward
from nnfast.kernels._loss import loss_backward, loss_forward
from nnfast.kernels._math import erf, exp, expm1, log, log1p, sigmoid, tanh
from nnfast.kernels._matrix import matmul, matvec
from nnfast.kernels._norm import (
    batch_norm_backward,
    batch_norm_forward,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from nnfast.kernels._pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    global_max_pool2d_backward,
    global_max_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from nnfast.kernels._random import random_normal, random_permutation, random_uniform
from nnfast.kernels._resize import (
    cropping2d_backward,
    cropping2d_forward,
    upsample2d_backward,
    upsample2d_forward,
    zero_padding2d_backward,
    zero_padding2d_forward,
)
from nnfast.kernels._training import adam_update, dropout_backward, dropout_forward, optimizer_update, sgd_update

__all__ = [
    "activation_backward",
    "activation_forward",
    "adam_update",
    "add",
    "argmax",
    "augment",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv2d_algorithms",
    "conv2d_backward",
    "conv2d_forward",
    "cropping2d_backward",
    "cropping2d_forward",
    "dropout_backward",
    "dropout_forward",
    "erf",
    "exp",
    "expm1",
    "gather_rows",
    "global_avg_pool2d_backward",
    "global_avg_pool2d_forward",
    "global_max_pool2d_backward",
    "global_max_pool2d_forward",
    "group_norm_backward",
    "group_norm_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "log",
    "log1p",
    "log_softmax_backward",
    "log_softmax_forward",
    "loss_backward",
    "loss_forward",
    "matmul",
    "matvec",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "multiply",
    "optimizer_update",
    "random_normal",
    "random_permutation",
    "random_uniform",
    "reduce_max",
    "reduce_sum",
    "sgd_update",
    "sigmoid",
    "softmax_backward",
    "softmax_forward",
    "tanh",
    "upsample2d_backward",
    "upsample2d_forward",
    "zero_padding2d_backward",
    "zero_padding2d_forward",
]

__getattr__, __dir__ = module_names(__name__, __all__)
