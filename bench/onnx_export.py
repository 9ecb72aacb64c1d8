"""Exported networks beside the originals: `python -m bench.onnx_export`.

For each network of `nf.models`, with its initial parameters: the nodes of the graph, how many of them are
transpositions, the size of the file, the time of the export, and the largest difference between ONNX Runtime and
`predict`, relative for numbers above 1.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import nnfast as nf
from nnfast import models
from nnfast.core.typing import Array
from nnfast.io.onnx.export import model_of
from nnfast.io.onnx.messages import ModelProto

NETWORKS: dict[str, Callable[[], nf.Network]] = {
    "lenet5": lambda: models.lenet5(seed=0),
    "mnist_convnet": lambda: models.mnist_convnet(seed=0),
    "resnet_cifar(20)": lambda: models.resnet_cifar(20, seed=0),
    "resnet(18)": lambda: models.resnet(18, seed=0),
    "resnet(50)": lambda: models.resnet(50, seed=0),
    "googlenet": lambda: models.googlenet(seed=0),
    "char_lstm": lambda: models.char_lstm(80, 64, seed=0),
    "transformer": lambda: models.transformer(1000, 64, depth=4, width=128, heads=4, seed=0),
    "transformer, padded": lambda: models.transformer(1000, 64, depth=4, width=128, heads=4, mask_zero=True, seed=0),
    "transformer_seq2seq": lambda: models.transformer_seq2seq(1000, 1000, 32, 32, seed=0),
    "autoencoder": lambda: models.autoencoder(784, seed=0),
    "autoencoder, convolutional": lambda: models.autoencoder((28, 28, 1), filters=(16, 32), seed=0),
    "variational_autoencoder": lambda: models.variational_autoencoder(784, seed=0),
}
ROWS = 4


def main() -> None:
    print(
        "| Network | Nodes | Transpositions | Megabytes | Export, ms | Largest difference |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for name, make in NETWORKS.items():
        net = make()
        start = time.perf_counter()
        content = model_of(net).serialize()
        milliseconds = 1e3 * (time.perf_counter() - start)
        graph = ModelProto.parse(content).graph
        assert graph is not None
        operators = Counter(node.op_type for node in graph.node)
        counts = f"{len(graph.node)} | {operators['Transpose']} | {len(content) / 1e6:.1f} | {milliseconds:.0f}"
        print(f"| {name} | {counts} | {difference(net, content):.1e} |", flush=True)


def difference(net: nf.Network, content: bytes) -> float:
    """Between ONNX Runtime and `predict`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    data = rows_for(net)
    found = session.run(None, dict(zip(net.architecture.inputs.names, data, strict=True)))
    wanted = net.predict(net.architecture.inputs.arrange(data))
    wanted = [wanted] if isinstance(wanted, np.ndarray) else list(wanted)
    return max(float((np.abs(a - b) / np.fmax(1, np.abs(b))).max()) for a, b in zip(found, wanted, strict=True))


def rows_for(net: nf.Network) -> list[Array]:
    """Token ids, bytes as floats, or numbers from 0 to 1."""
    rng = np.random.default_rng(0)
    made = []
    for name, shape in zip(net.architecture.inputs.names, net._input_shapes, strict=True):
        layer: Any = net.architecture.by_name[name]
        if layer.dtype or len(shape) == 3:
            made.append(rng.integers(0, 80 if layer.dtype else 256, (ROWS, *shape)).astype(layer.dtype or net.dtype))
        else:
            made.append(rng.random((ROWS, *shape)).astype(net.dtype))
    return made


if __name__ == "__main__":
    main()
