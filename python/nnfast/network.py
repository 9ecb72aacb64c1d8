"""Networks: layers compiled into a graph, their parameters, and prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from nnfast.core.arrays import as_numbers, dtype_name, require_finite
from nnfast.core.hints import NETWORK
from nnfast.core.options import flag, integer, named_arguments, with_hints
from nnfast.core.slices import any_sliced, in_parts, parts_of
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array
from nnfast.graph.architecture import Architecture, free_after_an_error
from nnfast.graph.described import Described
from nnfast.graph.ends import number_of_rows
from nnfast.graph.extraction import extracted
from nnfast.graph.nesting import called_on, copies_for_use
from nnfast.graph.pullback import Pullback
from nnfast.layers.base import Layer

if TYPE_CHECKING:
    from nnfast.generation import Stepper
    from nnfast.inspect.drawing import Drawing
    from nnfast.inspect.explain import Explanation

__all__ = ["Network"]


@with_hints(NETWORK)
class Network(Described):
    """A neural network: layers and their parameters.

    Parameters
    ----------
    layers : sequence of Layer, optional
        A sequential network, starting with a `layers.Input`.
    inputs, outputs : Tensor, or list, tuple or dict of them, optional
        Instead of a sequence: inputs and outputs of a graph built by calling layers on tensors. Data are passed in the
        form of `inputs`, predictions are returned in the form of `outputs`.
    seed : int, optional
        0 <= seed < 2^63. Determines initial parameters, dropout and the order of rows in training; random by default.
    dtype : {"float32", "float64"}, default "float32"
    name : str, default "network"

    Attributes
    ----------
    layers : tuple of Layer
    parameters : mapping of str to ndarray
        Writable views by full name, such as "dense_1.kernel". Assigning to an entry writes the values into the network.
    input_shape, output_shape : tuple of int
        Shape of one row, without the batch axis.
    num_parameters : int
    seed : int
    dtype, name : str

    Notes
    -----
    Any number of threads may predict, evaluate, copy and save at the same time, with the same bits as one thread. Only
    one thread at a time may train or write parameters: it waits for running calls of other threads, whose new calls
    raise a RuntimeError until it is done. To use a network while it is trained, make a `copy` in the training thread,
    for example in a callback. Different networks are independent. Two networks over the same tensors share no
    parameters.

    Examples
    --------
    >>> import os, tempfile
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((4,)), layers.Dense(3, activation="softmax")], seed=0)
    >>> net.num_parameters, net.output_shape
    (15, (3,))
    >>> net.predict([[0.0, 0.0, 0.0, 0.0]]).round(4)
    array([[0.3333, 0.3333, 0.3333]], dtype=float32)
    >>> net.get_layer("dense").units, [row["op"] for row in net.describe()]
    (3, ['input', 'dense', 'activation'])
    >>> twin = net.copy("float64")
    >>> kernel, bias = twin.get_weights()
    >>> twin.set_weights([2 * kernel, bias])
    >>> twin.freeze()
    >>> twin.unfreeze("dense.bias")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     twin.save(os.path.join(folder, "twin.safetensors"))
    ...     same = nf.Network.load(os.path.join(folder, "twin.safetensors"))
    >>> same.dtype, same.trainable
    ('float64', ['dense.bias'])
    """

    _ends: tuple[Any, Any] | None = None
    """The tensors of which the network was made."""
    _losses: tuple[Tensor, ...] = ()
    """Those of `add_loss`."""
    seed_given = False
    """Whether the caller gave the seed, which is otherwise random or that of a file."""

    @named_arguments
    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        *,
        inputs: Any = None,
        outputs: Any = None,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str = "network",
    ) -> None:
        if (layers is None) == (inputs is None and outputs is None):
            raise ValueError("Network: expected either a list of layers, or inputs= and outputs=")
        if not isinstance(name, str):
            raise TypeError(f"Network: expected a string as name, got {name!r}")
        self.seed_given = seed is not None
        seed = int.from_bytes(os.urandom(4)) if seed is None else integer("Network", "seed", seed, minimum=0)
        with free_after_an_error(layers):
            made = Architecture.from_tensors(inputs, outputs) if layers is None else Architecture.from_chain(layers)
            self._build(made, seed, dtype_name(dtype), name)
            self._ends = None if layers is not None else (inputs, outputs)
            self.architecture.initialize(self.parameters, self.seed)

    @classmethod
    def from_architecture(cls, architecture: Architecture, seed: int, dtype: str, name: str) -> Self:
        """A network with all parameters 0, to be filled by `load` and `copy`."""
        network = cls.__new__(cls)
        network._build(architecture, seed, dtype, name)
        return network

    def _build(self, architecture: Architecture, seed: int, dtype: str, name: str) -> None:
        super()._build(architecture, seed, dtype, name)
        architecture.join(self)

    def __repr__(self) -> str:
        return (
            f"<Network {self.name!r}: {len(self.layers)} layers, {self.num_parameters} parameters, "
            f"input {self.input_shape}, output {self.output_shape}, {self.dtype}>"
        )

    # ---- prediction --------------------------------------------------------

    def predict(self, x: ArrayLike, batch_size: int | None = None) -> Array:
        """Output of the network for rows of data.

        Parameters
        ----------
        x : array_like (N, *input_shape)
            Finite numbers. C-contiguous arrays of uint8 or of the network's dtype are not copied; others are converted,
            and those in files (`numpy.memmap`, HDF5, zarr), sparse ones of SciPy and the x of a Dataset are read in
            parts.
        batch_size : int, optional
            Maximum number of rows to process at a time; affects memory and speed, but not the result.

        Returns
        -------
        ndarray (N, *output_shape)

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Activation("relu")])
        >>> net.predict([[1, -1], [2, 3]])
        array([[1., 0.],
               [2., 3.]], dtype=float32)
        """
        result: Array | None = self._predict_if_fits(x) if batch_size is None else None
        return self._predict_checked(x, batch_size) if result is None else result

    def __call__(self, x: Any, batch_size: int | None = None) -> Any:
        """`predict`; on symbolic tensors, use the network as a layer of another one.

        All calls on tensors use the same layers, "<network>/<layer>". The other network is initialized with this
        network's parameters at the time of its construction, and freezes those that are frozen here.
        """
        tensors = x.values() if isinstance(x, Mapping) else x if isinstance(x, list | tuple) else (x,)
        if any(isinstance(tensor, Tensor) for tensor in tensors):
            return self._as_layer(x)
        return self.predict(x, batch_size)

    def _as_layer(self, x: Any) -> Any:
        if self._copies is None:
            self._copies = copies_for_use(self)
        return called_on(self.architecture, self._copies, self._input_shapes, self.name, x)

    def _predict_checked(self, x: Any, batch_size: int | None) -> Any:
        if any_sliced(x):
            return self._arranged(in_parts(lambda rows: parts_of(self._predict_checked(rows, batch_size)), x))
        if batch_size is None and len(self._input_shapes) == 1 and not isinstance(x, np.ndarray | Mapping):
            result = self._predict_if_fits(as_numbers(x, self.architecture.inputs.names[0], "x"))
            if result is not None:
                return result
        rows = self.as_rows(x)
        if batch_size is None:
            return self._arranged(self._predictor.predict(rows))
        plan = self.plan(min(integer("predict", "batch_size", batch_size), number_of_rows(rows)))
        return self._arranged(plan.predict(rows))

    # ---- looking inside ----------------------------------------------------

    def trace(self, x: ArrayLike) -> dict[str, Array]:
        """All tensors of a prediction by name: one per layer, and "<layer>.preactivation" before fused activations.

        Parameters
        ----------
        x : array_like (N, *input_shape)
            All rows are processed at once, and every tensor has its own memory.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, "relu", kernel_initializer=[[2.0]])])
        >>> for name, value in net.trace([[-1.0]]).items():
        ...     print(name, value)
        input [[-1.]]
        dense.preactivation [[-2.]]
        dense [[0.]]
        """
        rows = self.as_rows(x)
        plan = self.plan(number_of_rows(rows), keep=True, fuse=False)
        plan.run(rows, False)
        return plan.values()

    def loss_and_gradients(
        self, x: Any, y: Any, loss: Any, sample_weight: Any = None, *, training: bool = False
    ) -> tuple[float, dict[str, Array]]:
        """The loss of a batch and its gradients with respect to all trainable parameters.

        Parameters
        ----------
        x, y : array_like (N, *input_shape) and (N, ...), or lists or dicts of them
        loss : str or Loss, or list or dict of them
            See `Trainer`. Regularizers of layers are added.
        sample_weight : array_like (N,), or list or dict of them, optional
        training : bool, default False
            Compute them as a training step does, with batch statistics, dropout and noise; each such call draws new
            random numbers and updates the moving averages. Otherwise the network is not changed.

        Returns
        -------
        loss : float
        gradients : dict of str to ndarray
            By full name of the parameter, with its shape; accepted by `Trainer.apply_gradients`.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, kernel_initializer=[[2.0]])])
        >>> loss, gradients = net.loss_and_gradients([[3.0]], [[5.0]], "half_squared_error")
        >>> loss, float(gradients["dense.kernel"][0, 0])
        (0.5, 3.0)
        """
        advances = flag("loss_and_gradients", "training", training)
        heads, rows = self.heads("loss", loss), self.as_rows(x)
        targets, weights = heads.for_rows(number_of_rows(rows), y, sample_weight, self.dtype)
        plan = self.plan(number_of_rows(rows), heads=heads)
        plan.iteration = self.training_calls
        value = plan.loss_and_gradients(rows, targets, weights, advances)
        self.training_calls = plan.iteration
        return value, {name: gradient.copy() for name, gradient in plan.gradients().items()}

    def vjp(self, x: Any, *, training: bool = False) -> tuple[Any, Pullback]:
        """The network's output, and the function that carries gradients back from it.

        Parameters
        ----------
        x : array_like (N, *input_shape), or list or dict of them
        training : bool, default False
            As in `loss_and_gradients`.

        Returns
        -------
        y : ndarray (N, *output_shape), or list or dict of them
        pullback : callable
            ``pullback(dy)`` takes dL/dy, of the shape and form of y, and returns ``(gradients, dx)``: dL/dp of every
            trainable parameter by full name, and dL/dx in the form of x. It may be called several times, as long as the
            parameters stay as they are.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((2,)), nf.layers.Dense(1, kernel_initializer=[[2.0], [3.0]])])
        >>> y, pullback = net.vjp([[1.0, 1.0]])
        >>> gradients, dx = pullback([[1.0]])
        >>> y, dx, gradients["dense.kernel"].ravel()
        (array([[5.]], dtype=float32), array([[2., 3.]], dtype=float32), array([1., 1.], dtype=float32))
        """
        advances = flag("vjp", "training", training)
        pullback = Pullback(self, self.as_rows(x), self.training_calls, advances)
        self.training_calls += advances
        return pullback.outputs, pullback

    def add_loss(self, loss: Tensor) -> None:
        """Add a term to the loss that is minimized in training; the mean of the tensor over rows and elements.

        Parameters
        ----------
        loss : Tensor
            Computed from tensors of the network. Without the batch axis, the mean over its elements is added.

        Raises
        ------
        RuntimeError
            If the network was not made with ``inputs=`` and ``outputs=``.

        Notes
        -----
        Call it before a `Trainer` is made; layers and constants that only the term uses become part of the network.
        Views of parameters that were taken before are those of the former memory.

        Examples
        --------
        >>> import nnfast as nf
        >>> x = nf.layers.Input((2,))
        >>> code = nf.layers.Dense(2, kernel_initializer="ones")(x)
        >>> net = nf.Network(inputs=x, outputs=code)
        >>> net.add_loss(0.1 * nf.ops.square(code))
        >>> round(nf.Trainer(net, loss="mse").evaluate([[1.0, 1.0]], [[2.0, 2.0]])["loss"], 4)
        0.4
        """
        if self._ends is None:
            raise RuntimeError(
                "add_loss: expected a network just made with Network(inputs=, outputs=), got a list of layers, a copy "
                "or a loaded network, which has no tensors; add terms before copying it"
            )
        if not isinstance(loss, Tensor):
            raise TypeError(f"add_loss: expected a symbolic tensor, got {loss!r}")
        before = vars(self).copy()
        ends, losses, old = self._ends, (*self._losses, loss), self.parameters
        frozen = {name for name in old if name in self._frozen}
        try:
            with old.training("add_loss"):
                self._build(Architecture.from_tensors(*ends, losses), self.seed, self.dtype, self.name)
                self.architecture.initialize(self.parameters, self.seed)
                for name, value in old.items():
                    self.parameters[name][...] = value
                self._frozen = {name for name in self._frozen if name not in old} | frozen
                self._ends, self._losses, self.version = ends, losses, before["version"] + 1
        except BaseException:
            vars(self).update(before)
            raise

    def show(self, *, show_shapes: bool = True) -> Drawing:
        """The graph of the network as a drawing, from the inputs down, with a box for each call of a layer.

        Parameters
        ----------
        show_shapes : bool, default True
            Whether to write the shapes of the tensors.

        Returns
        -------
        Drawing
            Shown by notebooks; ``save(path)`` writes it to an SVG file, and ``str`` of it is the text of such a file.

        Raises
        ------
        ValueError
            If the network has more than 2000 calls of layers; `extract` gives a part of it.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], name="small")
        >>> net.show()
        <Drawing of 'small': 2 layers, 200 x 236>
        """
        from nnfast.inspect.drawing import Drawing

        return Drawing.of(self, show_shapes=show_shapes)

    def _repr_html_(self) -> str:
        from nnfast.inspect.drawing import html_of

        return html_of(self)

    def stepper(self) -> Stepper:
        """The network as something that reads sequences step by step and remembers what it has read.

        Returns
        -------
        Stepper
            See `nnfast.generation`, which continues texts with it.

        Examples
        --------
        >>> import numpy as np
        >>> import nnfast as nf
        >>> from nnfast import layers
        >>> net = nf.Network([layers.Input((3, 2)), layers.LSTM(4, return_sequences=True), layers.Dense(1)], seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
        >>> stepper = net.stepper()
        >>> y = [stepper(x[:, t]) for t in range(3)]
        >>> bool((np.stack(y, axis=1) == net.predict(x)).all())
        True
        """
        from nnfast.generation import Stepper

        return Stepper(self)

    def reset_states(self) -> None:
        """Set the states that recurrent layers with ``stateful=`` keep from batch to batch to 0.

        Call it where new sequences begin, usually before each epoch:
        ``callbacks=[nf.callbacks.LambdaCallback(on_epoch_begin=lambda epoch: net.reset_states())]``.

        Examples
        --------
        >>> import numpy as np
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((5, 2)), nf.layers.GRU(3, stateful=4), nf.layers.Dense(1)], seed=0)
        >>> trainer = nf.Trainer(net, loss="mse")
        >>> loss = trainer.train_on_batch(np.ones((4, 5, 2)), np.ones((4, 1)))
        >>> bool(net.parameters["gru.h"].any())
        True
        >>> net.reset_states()
        >>> bool(net.parameters["gru.h"].any())
        False
        """
        for node in self._expansion.nodes:
            for state in ("h", "c") if node.get("stateful") else ():
                if (name := f"{node['owner']}.{state}") in self.parameters:
                    self.parameters[name][...] = 0

    def explain(self, x: ArrayLike, y: ArrayLike, loss: Any, learning_rate: float = 0.01) -> Explanation:
        """Forward and backward pass of one example through the dense layers, as tables. Changes nothing.

        Parameters
        ----------
        x : array_like, input_shape or (1, *input_shape)
        y : array_like, output_shape or (1, *output_shape); or one class index
        loss : str or Loss
        learning_rate : float, default 0.01
            For the updated weights, by plain gradient descent.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1, kernel_initializer=[[2.0]])])
        >>> net.explain([3.0], [5.0], "half_squared_error").weights[0]["dLoss/dw"]
        3.0
        """
        from nnfast.inspect.explain import explain

        return explain(self, x, y, loss, learning_rate)

    # ---- copies and files --------------------------------------------------

    def copy(self, dtype: Any = None) -> Network:
        """A network with the same layers, parameters, seed and frozen parameters.

        Parameters
        ----------
        dtype : {"float32", "float64"}, optional
            dtype of the copy, if different. Values that overflow raise a ValueError.
        """
        chosen = self.dtype if dtype is None else dtype_name(dtype)
        other = type(self).from_architecture(self.architecture.copy(), self.seed, chosen, self.name)
        other.seed_given = self.seed_given
        with np.errstate(over="ignore"), self.parameters.reading("copy"):
            other.set_state(self.parameters, self._frozen)
        for parameter, view in other.parameters.items() if chosen != self.dtype else ():
            require_finite(view, parameter)
        return other

    def extract(self, outputs: Any, inputs: Any = None) -> Network:
        """A new network of some layers of this one, such as a classifier without its last layer, or a decoder.

        It has copies of the layers that the outputs depend on, with their parameters, which are frozen where they are
        here, and the same seed and dtype. A kernel tied to a layer that is left out becomes the layer's own.

        Parameters
        ----------
        outputs : str, or list or dict of str
            Name of a layer, such as "flatten" or "base/dense", or "dense:2" for its second call; for several outputs a
            list or dict of them.
        inputs : str, or list or dict of str, optional
            Layers whose outputs become the inputs; by default, the inputs are those of this network that are needed.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(8, "relu"), nf.layers.Dense(10)], seed=0)
        >>> encoder, decoder = net.extract("dense"), net.extract("dense_1", inputs="dense")
        >>> encoder.freeze()
        >>> x = nf.layers.Input((4,))
        >>> other = nf.Network(inputs=x, outputs=nf.layers.Dense(3, name="head")(encoder(x)))
        >>> other.trainable, decoder.input_shape
        (['head.kernel', 'head.bias'], (8,))
        """
        return extracted(self, outputs, inputs)

    def __getstate__(self) -> dict[str, Any]:
        with self.parameters.reading("pickle"):
            values = {name: view.copy() for name, view in self.parameters.items()}
        made = self.architecture, self.seed, self.dtype, self.name
        state = {"made": made, "values": values, "frozen": sorted(self._frozen), "calls": self.training_calls}
        return state | {"seed_given": self.seed_given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._build(*state["made"])
        self.set_state(state["values"], state["frozen"])
        self.training_calls, self.seed_given = state["calls"], state.get("seed_given", False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write architecture and parameters to a safetensors file; after an error, an existing file is unchanged.

        Parameters
        ----------
        path : str or path-like
            Conventionally ends in ".safetensors".

        Raises
        ------
        TypeError, ValueError
            If an option cannot be stored as JSON, two user-defined classes share a name, or a parameter is not finite.

        Notes
        -----
        Writing is atomic. Equal networks give equal bytes. Everything but the parameters is JSON in the key "nnfast" of
        the metadata.
        """
        from nnfast.io.network_file import save_network

        save_network(self, path)

    def export_onnx(
        self,
        path: str | os.PathLike[str],
        opset: int = 17,
        input_layout: str = "NHWC",
        *,
        output_layout: str = "NHWC",
        input_dtype: str | None = None,
        dynamic_time: bool = False,
    ) -> None:
        """Write an ONNX file that predicts as this network does; see docs/onnx.md.

        Parameters
        ----------
        path : str or path-like
            Conventionally ends in ".onnx".
        opset : int, default 17
            17 to 23. The version of the set of operators.
        input_layout, output_layout : {"NHWC", "NCHW"}
            That of inputs and outputs which are images. Sequences stay (N, T, D).
        input_dtype : {"uint8", "float32", "float64"}, optional
            Of inputs other than integers; by default the network's dtype. Bytes are converted within the graph.
        dynamic_time : bool, default False
            Whether sequences, inputs of (N, T, D) or token ids of (N, T), may have any length.

        Raises
        ------
        ValueError
            If the network has layers written in Python, with random numbers in prediction, or, with `dynamic_time`,
            such as need their number of steps; they are named.

        Notes
        -----
        Inputs and outputs have the names of their layers and any number of rows. What serves training alone, such as
        losses and dropout, is left out. The metadata have all that restores the network. Writing is atomic.

        Examples
        --------
        >>> import os, tempfile
        >>> import nnfast as nf
        >>> net = nf.models.lenet5(seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.export_onnx(os.path.join(folder, "lenet.onnx"), input_layout="NCHW", input_dtype="uint8")
        ...     os.listdir(folder)
        ['lenet.onnx']
        """
        from nnfast.io.onnx.export import export_onnx

        export_onnx(self, path, opset, input_layout, output_layout, input_dtype, dynamic_time)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, custom_objects: Mapping[str, Any] | None = None) -> Network:
        """Read a network written by `save`.

        Files from untrusted sources are safe to load: no code is run except nnfast's own and that in `custom_objects`.

        Parameters
        ----------
        path : str or path-like
        custom_objects : dict, optional
            Classes of custom layers by name.

        Raises
        ------
        ValueError
            If the file is damaged or not from nnfast, or a custom class is missing.
        """
        from nnfast.io.network_file import load_network

        return load_network(path, custom_objects)
