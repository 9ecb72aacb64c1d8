"""Single kernels on NumPy arrays, for learning, testing and benchmarking.

A `Network` runs a whole training step in the core and never calls these functions, but it uses the same kernels and
gives the same bits.

- Arrays are float32 or float64 and C-contiguous unless stated otherwise. All arrays of a call have the same dtype;
  nothing is cast, and there is no broadcasting.
- Results have the same bits for any number of threads, for a row alone or inside any batch, and on all instruction
  sets with fused multiply-add (AVX2, AVX-512, NEON). The x86-64 baseline ("sse2") differs by rounding only.
- The result has the shape of the input unless stated otherwise.
- Non-finite numbers follow IEEE 754 arithmetic and raise no error.

These parameters mean the same in every function that has them:

out : ndarray, optional
    Array that receives the result, with its shape and dtype. It must not overlap the other arrays; but activations,
    softmax and the forward passes of normalizations may work in place, with an input as `out`.
dy : ndarray
    Gradient of the loss with respect to the output of the forward pass.
alpha : float, optional
    Parameter of the activation functions heaviside (threshold), leaky_relu (slope) and elu.
seed : int, default 0
    0 <= seed < 2^64.
step, stream : int, default 0
    0 <= step, stream < 2^32. Random numbers are a function of (seed, step, stream, index).
dtype : {"float32", "float64"}, default "float32"
    dtype of the result.
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
from nnfast.kernels._attention import attention_backward, attention_forward, rotary_backward, rotary_forward
from nnfast.kernels._augment import augment
from nnfast.kernels._conv import conv2d_algorithms, conv2d_backward, conv2d_forward
from nnfast.kernels._elementwise import (
    binary_backward,
    binary_forward,
    unary_backward,
    unary_forward,
    where_backward,
    where_forward,
)
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
    rms_norm_backward,
    rms_norm_forward,
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
from nnfast.kernels._recurrent import (
    gru_reset_backward,
    gru_reset_forward,
    gru_step_backward,
    gru_step_forward,
    lstm_step_backward,
    lstm_step_forward,
)
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
    "attention_backward",
    "attention_forward",
    "augment",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "binary_backward",
    "binary_forward",
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
    "gru_reset_backward",
    "gru_reset_forward",
    "gru_step_backward",
    "gru_step_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "log",
    "log1p",
    "log_softmax_backward",
    "log_softmax_forward",
    "loss_backward",
    "loss_forward",
    "lstm_step_backward",
    "lstm_step_forward",
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
    "rms_norm_backward",
    "rms_norm_forward",
    "rotary_backward",
    "rotary_forward",
    "sgd_update",
    "sigmoid",
    "softmax_backward",
    "softmax_forward",
    "tanh",
    "unary_backward",
    "unary_forward",
    "upsample2d_backward",
    "upsample2d_forward",
    "where_backward",
    "where_forward",
    "zero_padding2d_backward",
    "zero_padding2d_forward",
]

__getattr__, __dir__ = module_names(__name__, __all__)
