"""Ready-made, untrained networks and their building blocks.

Networks that classify, and those that tell the next token, end in softmax: train them with ``loss="cross_entropy"``.
Autoencoders reproduce their input, which they take as it is. Networks for images share these parameters:

input_shape : (int, int, int)
    Height, width and channels of the images.
classes : int
    Number of classes, i.e. units of the last layer.
scale, offset : float, default 1 / 255 and 0
    The first layer computes x * scale + offset, which by default maps uint8 images to [0, 1]. Pass ``scale=1`` for
    images that are already scaled.

All share these:

seed : int, optional
    Seed of the initial parameters; see `Network`.
dtype : {"float32", "float64"}, default "float32"
    dtype of the parameters.

>>> import nnfast as nf
>>> net = nf.models.lenet5(seed=0)
>>> net.num_parameters, net.output_shape
(44426, (10,))
"""

from nnfast.core.options import module_names
from nnfast.models.autoencoder import autoencoder, variational_autoencoder
from nnfast.models.blocks import bottleneck_block, convolution, inception_block, residual_block
from nnfast.models.convnet import lenet5, mnist_convnet
from nnfast.models.inception import googlenet
from nnfast.models.recurrent import char_lstm
from nnfast.models.resnet import resnet, resnet_cifar
from nnfast.models.transformer import transformer, transformer_seq2seq

__all__ = [
    "autoencoder",
    "bottleneck_block",
    "char_lstm",
    "convolution",
    "googlenet",
    "inception_block",
    "lenet5",
    "mnist_convnet",
    "residual_block",
    "resnet",
    "resnet_cifar",
    "transformer",
    "transformer_seq2seq",
    "variational_autoencoder",
]

__getattr__, __dir__ = module_names(__name__, __all__)
