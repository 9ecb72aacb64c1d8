"""Recurrent layers with the weights of PyTorch's, whose gates have another order, in float64."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

STEPS, FEATURES, UNITS = 6, 3, 4
LENGTHS = (6, 3, 1, 5, 2)
# Sums of some hundred products of numbers around 1, in other orders.
TOLERANCE = 1e-12

# Keras's gates among PyTorch's: i f c o of i f g o, z r h of r z n, and whether the biases stay apart.
KINDS: dict[str, tuple[Any, Any, tuple[int, ...], bool]] = {
    "SimpleRNN": (layers.SimpleRNN, torch.nn.RNN, (0,), False),
    "LSTM": (layers.LSTM, torch.nn.LSTM, (0, 1, 2, 3), False),
    "GRU": (layers.GRU, torch.nn.GRU, (1, 0, 2), True),
}


def in_order(values: Any, order: tuple[int, ...]) -> Array:
    """(gates of PyTorch, ...) as (..., gates of Keras)."""
    parts = np.split(values.detach().numpy(), len(order))
    return np.concatenate([parts[gate] for gate in order]).T


def weights_of(theirs: Any, kind: str, end: str, gradient: bool = False) -> list[Array]:
    """In Keras's layout: weights, or their gradients, of which that of a sum of biases is that of each."""
    _, _, order, apart = KINDS[kind]

    def of(name: str) -> Array:
        own = getattr(theirs, f"{name}_l0{end}")
        return in_order(own.grad if gradient else own, order)

    biases = [of("bias_ih"), of("bias_hh")]
    return [of("weight_ih"), of("weight_hh"), np.stack(biases) if apart else biases[0] if gradient else sum(biases)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_values_states_and_gradients(kind: str, padded: bool, bidirectional: bool) -> None:
    make, of_torch, _, _ = KINDS[kind]
    torch.manual_seed(1)
    theirs = of_torch(FEATURES, UNITS, batch_first=True, bidirectional=bidirectional).double()
    rng = np.random.default_rng(2)
    mask = np.arange(STEPS) < np.array(LENGTHS if padded else [STEPS] * 5)[:, None]
    x = rng.normal(size=(5, STEPS, FEATURES)) * mask[..., None]
    made = make(UNITS, return_sequences=True, return_state=True)
    entry = layers.Input((STEPS, FEATURES))
    y = (layers.Bidirectional(made) if bidirectional else made)(layers.Masking()(entry))
    net = nf.Network(inputs=entry, outputs=y, dtype="float64")
    ends = ("", "_reverse") if bidirectional else ("",)
    net.set_weights([own for end in ends for own in weights_of(theirs, kind, end)])
    found, pullback = net.vjp(x)
    dy = [rng.normal(size=own.shape) for own in found]
    dy[0] *= mask[..., None]  # PyTorch returns zeros in padding
    gradients, dx = pullback(dy)

    given = torch.tensor(x, requires_grad=True)
    lengths = torch.tensor(mask.sum(axis=1))
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
    outputs, states = theirs(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    states = states if isinstance(states, tuple) else (states,)
    # By layer and direction (h, c) here, and by (h, c) and direction there.
    flat = [part[way] for way in range(len(ends)) for part in states]
    for one, other in zip([found[0] * mask[..., None], *found[1:]], [outputs, *flat], strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=TOLERANCE, atol=TOLERANCE)
    loss = sum((own * torch.tensor(d)).sum() for own, d in zip([outputs, *flat], dy, strict=True))
    loss.backward()
    np.testing.assert_allclose(dx, given.grad.numpy(), rtol=TOLERANCE, atol=TOLERANCE)
    wanted = [own for end in ends for own in weights_of(theirs, kind, end, gradient=True)]
    for one, other in zip(gradients.values(), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)
