"""Ready-made networks, untrained, and the blocks that they are made of.

Each takes the images' shape, the number of classes, a seed and a dtype, and ends in softmax: train it with
``loss="cross_entropy"``. The first layer scales what comes in (``x * scale + offset``); by default it takes images of
uint8 to [0, 1]. Pass ``scale=1`` for images that have their range already.

>>> import nnfast as nf
>>> net = nf.models.lenet5(seed=0)
>>> net.num_parameters, net.output_shape
(44426, (10,))
"""

from nnfast.core.options import module_names
from nnfast.models.blocks import bottleneck_block, convolution, inception_block, residual_block
from nnfast.models.convnet import lenet5, mnist_convnet
from nnfast.models.inception import googlenet
from nnfast.models.resnet import resnet, resnet_cifar

__all__ = [
    "bottleneck_block",
    "convolution",
    "googlenet",
    "inception_block",
    "lenet5",
    "mnist_convnet",
    "residual_block",
    "resnet",
    "resnet_cifar",
]

__getattr__, __dir__ = module_names(__name__, __all__)
