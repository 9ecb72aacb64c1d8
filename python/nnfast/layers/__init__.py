"""Layers: declarations of what a network computes. They hold options, no numbers; a `Network` holds the parameters.

In a chain they stand in a list; in a graph they are called on symbolic tensors:

>>> from nnfast import Network, layers
>>> chain = Network([layers.Input((2,)), layers.Dense(3, activation="tanh"), layers.Dense(1)], seed=0)
>>> x = layers.Input((2,))
>>> h = layers.Dense(2, activation="tanh")(x)
>>> graph = Network(inputs=x, outputs=layers.Dense(1)(x + h), seed=0)
>>> chain.output_shape, graph.output_shape
((1,), (1,))
"""

from nnfast.core.hints import LAYERS
from nnfast.core.options import module_names, public_classes
from nnfast.layers.activation import (
    ELU,
    GELU,
    SELU,
    Activation,
    HardSigmoid,
    Heaviside,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from nnfast.layers.base import Layer
from nnfast.layers.convolution import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, DepthwiseConv2D
from nnfast.layers.core import Dense, Input, Rescaling
from nnfast.layers.custom import CustomLayer
from nnfast.layers.merge import Add, Concatenate, Multiply
from nnfast.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from nnfast.layers.pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from nnfast.layers.regularization import Dropout, GaussianNoise, SpatialDropout1D, SpatialDropout2D
from nnfast.layers.reshape import Flatten, Reshape
from nnfast.layers.resize import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Add",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "CustomLayer",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GroupNormalization",
    "HardSigmoid",
    "Heaviside",
    "Input",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LogSoftmax",
    "MaxPool1D",
    "MaxPool2D",
    "Multiply",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Tanh",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
]

CLASSES = public_classes(Layer, CustomLayer)
"""The layers that a saved network may name."""

# Keras's longer names.
MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D = MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D
GlobalMaxPooling1D, GlobalMaxPooling2D = GlobalMaxPool1D, GlobalMaxPool2D
GlobalAveragePooling1D, GlobalAveragePooling2D = GlobalAvgPool1D, GlobalAvgPool2D
InputLayer = Input
Convolution1D, Convolution2D = Conv1D, Conv2D

__getattr__, __dir__ = module_names(__name__, __all__, LAYERS)
