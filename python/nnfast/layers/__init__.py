"""Layers: the building blocks of networks. Layers hold options; the `Network` holds the parameters.

A sequential network is a list of layers; in any other graph, layers are called on symbolic tensors:

>>> from nnfast import Network, layers
>>> chain = Network([layers.Input((2,)), layers.Dense(3, activation="tanh"), layers.Dense(1)], seed=0)
>>> x = layers.Input((2,))
>>> h = layers.Dense(2, activation="tanh")(x)
>>> graph = Network(inputs=x, outputs=layers.Dense(1)(x + h), seed=0)
>>> chain.output_shape, graph.output_shape
((1,), (1,))

Options are checked when a layer is constructed, input shapes when it is called: an invalid value or shape raises a
ValueError, an argument of the wrong type a TypeError. These parameters mean the same in every layer that has them:

name : str, optional
    Name of the layer in summaries, error messages and parameter names ("hidden.kernel"): up to 100 ASCII letters,
    digits, ``_``, ``-``, ``/`` and spaces, starting with one of the first three. By default the class name in snake
    case, numbered within the network: "dense", "dense_1", ...
trainable : bool or sequence of str, default True
    Which parameters are trained: all, none, or the named ones, for example ``("kernel",)`` to keep the bias fixed.
activation : str or activation layer, optional
    Activation function g: a name from `nnfast.activations`, or a layer such as ``layers.LeakyReLU(0.2)``. None is the
    identity.
use_bias : bool, default True
    Whether the layer has a bias.
kernel_initializer, bias_initializer, gamma_initializer, beta_initializer : Initializer, str, float or array_like
    Initial values; see `nnfast.initializers`. By default kernels are Glorot uniform, gamma is 1, and bias and beta
    are 0.
**weights : kernel_regularizer, bias_regularizer, gamma_regularizer, beta_regularizer, embeddings_regularizer, ...
    For each weight that the layer has, a penalty that is added to the loss; see `nnfast.regularizers`.
**weights : activity_regularizer
    Of dense and convolutional layers: a penalty on the output that is added to the loss; see `nnfast.regularizers`.
**weights : kernel_constraint, bias_constraint, gamma_constraint, beta_constraint, embeddings_constraint, ...
    For each weight that the layer has, a condition that is restored after each update; see `nnfast.constraints`.
"""

from nnfast.core.hints import LAYERS
from nnfast.core.options import module_names, public_classes
from nnfast.layers import (
    activation,
    attention,
    convolution,
    core,
    custom,
    embedding,
    masking,
    merge,
    normalization,
    operation,
    pooling,
    positions,
    preprocessing,
    recurrent,
    regularization,
    reshape,
    resize,
    tables,
    transformer,
    wrappers,
)
from nnfast.layers.activation import *
from nnfast.layers.attention import *
from nnfast.layers.base import Layer, MultiOutput, Weight
from nnfast.layers.convolution import *
from nnfast.layers.core import *
from nnfast.layers.custom import *
from nnfast.layers.embedding import *
from nnfast.layers.masking import *
from nnfast.layers.merge import *
from nnfast.layers.normalization import *
from nnfast.layers.operation import *
from nnfast.layers.pooling import *
from nnfast.layers.positions import *
from nnfast.layers.preprocessing import *
from nnfast.layers.recurrent import *
from nnfast.layers.regularization import *
from nnfast.layers.reshape import *
from nnfast.layers.resize import *
from nnfast.layers.tables import *
from nnfast.layers.transformer import *
from nnfast.layers.wrappers import *

__all__ = ["Layer"]
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += convolution.__all__
__all__ += core.__all__
__all__ += custom.__all__
__all__ += embedding.__all__
__all__ += masking.__all__
__all__ += merge.__all__
__all__ += normalization.__all__
__all__ += operation.__all__
__all__ += pooling.__all__
__all__ += positions.__all__
__all__ += preprocessing.__all__
__all__ += recurrent.__all__
__all__ += regularization.__all__
__all__ += reshape.__all__
__all__ += resize.__all__
__all__ += tables.__all__
__all__ += transformer.__all__
__all__ += wrappers.__all__

CLASSES = public_classes(Layer, CustomLayer, MultiOutput, recurrent.Recurrent, Weight)
"""The layers that a saved network may name."""

# Keras's longer names.
MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D = MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D
GlobalMaxPooling1D, GlobalMaxPooling2D = GlobalMaxPool1D, GlobalMaxPool2D
GlobalAveragePooling1D, GlobalAveragePooling2D = GlobalAvgPool1D, GlobalAvgPool2D
InputLayer = Input
Convolution1D, Convolution2D = Conv1D, Conv2D

__getattr__, __dir__ = module_names(__name__, __all__, LAYERS)
