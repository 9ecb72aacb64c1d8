"""Operations on tensors: the same functions for symbolic tensors and for arrays, named as in ``keras.ops``.

On symbolic tensors, they become part of the network, which computes their gradients; on arrays, they are computed at
once by the same code. Operators and slices of symbolic tensors do the same: ``2 * x - y``, ``x @ w``, ``x[:, 1:]``.

Axes count the batch, as in NumPy: axis 0 of a tensor with a batch is the batch, axis -1 the last. Tensors without a
batch are weights, constants, and what is computed from them or summed over the batch.

>>> import nnfast as nf
>>> from nnfast import layers
>>> x = layers.Input((2,))
>>> net = nf.Network(inputs=x, outputs=nf.ops.exp(-x) + 1)
>>> net.predict([[0.0, 1.0]]).round(4)
array([[2.    , 1.3679]], dtype=float32)
>>> (nf.ops.exp([0.0, -1.0]) + 1).round(4)
array([2.    , 1.3679])
"""

from nnfast.core.hints import OPS
from nnfast.core.options import module_names
from nnfast.ops import activation, elementwise, indexing, linear_algebra, logic, random, reduction, shapes, trigonometry
from nnfast.ops.activation import *
from nnfast.ops.elementwise import *
from nnfast.ops.indexing import *
from nnfast.ops.linear_algebra import *
from nnfast.ops.logic import *
from nnfast.ops.random import *
from nnfast.ops.reduction import *
from nnfast.ops.shapes import *
from nnfast.ops.trigonometry import *

__all__ = [
    *activation.__all__,
    *elementwise.__all__,
    *indexing.__all__,
    *linear_algebra.__all__,
    *logic.__all__,
    *random.__all__,
    *reduction.__all__,
    *shapes.__all__,
    *trigonometry.__all__,
]

# NumPy's and Python's names.
abs = absolute
amax = max
amin = min
true_divide = divide

__getattr__, __dir__ = module_names(__name__, __all__, OPS)
