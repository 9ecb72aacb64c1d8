"""Whole networks trained here and in PyTorch from the same parameters stay together, in float64."""

import numpy as np
import pytest
from layer_passes import passes

import nnfast as nf
from nnfast import layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

ROWS, FEATURES, UNITS, CLASSES, STEPS, RATE = 13, 7, 9, 5, 25, 0.02

# Rounding differs in each of some 1e3 operations that a parameter depends on; the steps spread it.
TOLERANCE = 1e-10

ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.01),
    "elu": torch.nn.functional.elu,
    "selu": torch.selu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "softsign": torch.nn.functional.softsign,
    # Not torch.nn.functional.hardsigmoid, whose 1/6 has float32's digits in float64 too.
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
}

OPTIMIZERS = {
    "sgd": (lambda: nf.optimizers.SGD(RATE), lambda p: torch.optim.SGD(p, RATE)),
    "momentum": (lambda: nf.optimizers.SGD(RATE, momentum=0.9), lambda p: torch.optim.SGD(p, RATE, momentum=0.9)),
    "nesterov": (
        lambda: nf.optimizers.SGD(RATE, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: nf.optimizers.Adam(RATE, epsilon=1e-8), lambda p: torch.optim.Adam(p, RATE, eps=1e-8)),
    "amsgrad": (
        lambda: nf.optimizers.Adam(RATE, epsilon=1e-8, amsgrad=True),
        lambda p: torch.optim.Adam(p, RATE, eps=1e-8, amsgrad=True),
    ),
    # PyTorch decays biases too.
    "adamw": (
        lambda: nf.optimizers.AdamW(RATE, 0.3, epsilon=1e-8, weight_decay_exclude=()),
        lambda p: torch.optim.AdamW(p, RATE, eps=1e-8, weight_decay=0.3),
    ),
    "nadam": (
        lambda: nf.optimizers.Nadam(RATE, epsilon=1e-8, momentum_decay=0.004),
        lambda p: torch.optim.NAdam(p, RATE, eps=1e-8, momentum_decay=0.004),
    ),
    "adadelta": (
        lambda: nf.optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6),
        lambda p: torch.optim.Adadelta(p, 1.0, rho=0.9, eps=1e-6),
    ),
    # PyTorch adds epsilon in another place: here it is too small to matter.
    "adamax": (lambda: nf.optimizers.Adamax(RATE, epsilon=1e-30), lambda p: torch.optim.Adamax(p, RATE, eps=1e-30)),
    "adagrad": (
        lambda: nf.optimizers.Adagrad(RATE, initial_accumulator_value=0.01, epsilon=1e-30),
        lambda p: torch.optim.Adagrad(p, RATE, initial_accumulator_value=0.01, eps=1e-30),
    ),
    "adam with decoupled decay": (
        lambda: nf.optimizers.Adam(RATE, epsilon=1e-8, weight_decay=0.2, weight_decay_exclude=()),
        lambda p: torch.optim.AdamW(p, RATE, eps=1e-8, weight_decay=0.2),
    ),
    "coupled decay": (
        lambda: nf.optimizers.SGD(RATE, momentum=0.9, l2=0.2, l2_exclude=()),
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, weight_decay=0.2),
    ),
    "rates by parameter": (
        lambda: nf.optimizers.SGD(RATE, learning_rate_multipliers={"first": 0.5, "bias": 2.0}),
        lambda p: torch.optim.SGD(
            [{"params": p[:2], "lr": RATE / 2}, {"params": p[2::2]}, {"params": p[3::2], "lr": 2 * RATE}], RATE
        ),
    ),
}

LOSSES = {
    "mse": torch.nn.functional.mse_loss,
    "half_squared_error": lambda p, t: ((p - t) ** 2).sum(1).mean() / 2,
    "mae": torch.nn.functional.l1_loss,
    "sum_absolute_error": lambda p, t: (p - t).abs().sum(1).mean(),
    "huber": torch.nn.functional.huber_loss,
}


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.normal(size=(ROWS, FEATURES)), rng.normal(size=(ROWS, CLASSES)), rng.integers(0, CLASSES, ROWS)


def network(activation: str, last: str = "linear") -> nf.Network:
    """Dense layers, a skip by a sum, and a branch by a concatenation."""
    x = layers.Input((FEATURES,))
    first = layers.Dense(UNITS, activation=activation, name="first")(x)
    second = layers.Dense(UNITS, activation=activation, name="second")(first)
    joined = layers.Concatenate()([first + second, x])
    return nf.Network(
        inputs=x, outputs=layers.Dense(CLASSES, activation=last, name="last")(joined), seed=3, dtype="float64"
    )


def logits_in_torch(parameters: dict, x: "torch.Tensor", activation: str) -> "torch.Tensor":
    def dense(name: str, inputs: "torch.Tensor") -> "torch.Tensor":
        return inputs @ parameters[f"{name}.kernel"] + parameters[f"{name}.bias"]

    apply = ACTIVATIONS[activation]
    first = apply(dense("first", x))
    second = apply(dense("second", first))
    return dense("last", torch.cat([first + second, x], 1))


def assert_same_training(
    net: nf.Network,
    trainer: nf.Trainer,
    y: np.ndarray,
    loss,
    optimizer,
    activation: str,
    tolerance: float = TOLERANCE,
) -> None:
    x = data()[0]
    parameters = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in net.parameters.items()}
    steps = optimizer(list(parameters.values()))
    target = torch.tensor(y)
    for _ in range(STEPS):
        here = trainer.train_on_batch(x, y)
        steps.zero_grad()
        there = loss(logits_in_torch(parameters, torch.tensor(x), activation), target)
        there.backward()
        steps.step()
        assert here == pytest.approx(there.item(), rel=tolerance)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, parameters[name].detach().numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str) -> None:
    net = network(activation)
    trainer = nf.Trainer(net, loss="mse", optimizer=OPTIMIZERS["sgd"][0]())
    assert_same_training(net, trainer, data()[1], LOSSES["mse"], OPTIMIZERS["sgd"][1], activation)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    net = network("tanh")
    here, there = OPTIMIZERS[name]
    trainer = nf.Trainer(net, loss="mse", optimizer=here())
    # PyTorch keeps the product of Nadam's momenta in float32.
    tolerance = 1e-6 if name == "nadam" else TOLERANCE
    assert_same_training(net, trainer, data()[1], LOSSES["mse"], there, "tanh", tolerance)


def test_accumulated_gradients_and_averaged_weights() -> None:
    net = network("tanh")
    x, y, _ = data()
    options = {"use_ema": True, "ema_momentum": 0.8, "gradient_accumulation_steps": 2}
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(RATE, **options))
    there = {name: torch.nn.Parameter(torch.tensor(value.copy())) for name, value in net.parameters.items()}
    steps = torch.optim.SGD(list(there.values()), RATE)
    module = torch.nn.ParameterList(there.values())
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8))
    for part in [slice(0, 6), slice(6, 13)] * STEPS:
        trainer.train_on_batch(x[part], y[part])
        loss = LOSSES["mse"](logits_in_torch(there, torch.tensor(x[part]), "tanh"), torch.tensor(y[part])) / 2
        loss.backward()
        if part.start:
            steps.step()
            steps.zero_grad()
            averaged.update_parameters(module)
    for name, wanted in there.items():
        np.testing.assert_allclose(net.parameters[name], wanted.detach().numpy(), rtol=0, atol=TOLERANCE)
    with trainer.averaged_weights():
        for value, wanted in zip(net.parameters.values(), averaged.module, strict=True):
            np.testing.assert_allclose(value, wanted.detach().numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    net = network("tanh")
    trainer = nf.Trainer(net, loss=name, optimizer=OPTIMIZERS["sgd"][0]())
    assert_same_training(net, trainer, data()[1], LOSSES[name], OPTIMIZERS["sgd"][1], "tanh")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    net = network("tanh", last="softmax")
    loss = nf.losses.CrossEntropy(label_smoothing=smoothing)
    trainer = nf.Trainer(net, loss=loss, optimizer=OPTIMIZERS["adam"][0]())

    def in_torch(logits: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        return torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)

    assert_same_training(net, trainer, data()[2], in_torch, OPTIMIZERS["adam"][1], "tanh")


def test_binary_cross_entropy() -> None:
    net = network("tanh", last="sigmoid")
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=OPTIMIZERS["adam"][0]())
    y = (data()[1] > 0).astype(np.float64)
    there = torch.nn.functional.binary_cross_entropy_with_logits
    assert_same_training(net, trainer, y, there, OPTIMIZERS["adam"][1], "tanh")


def normalization_in_torch(name: str, channels: int, groups: int) -> "torch.nn.Module":
    make = {
        "batch": lambda: torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1),
        "layer": lambda: torch.nn.LayerNorm(channels, eps=1e-3),
        "group": lambda: torch.nn.GroupNorm(groups, channels, eps=1e-3),
    }
    return make[name]().double()


@pytest.mark.parametrize("name", ["batch", "layer", "group"])
@pytest.mark.parametrize("channels", [6, 72])
def test_normalization(name: str, channels: int) -> None:
    """Values, gradients and moving averages over several steps; PyTorch's running variance has n - 1 below."""
    groups, rows, height, width = 3, 9, 5, 4
    rng = np.random.default_rng(8)
    x, y = 2 + rng.normal(size=(rows, height, width, 2)), rng.normal(size=(rows, CLASSES))
    normal = {
        "batch": lambda: layers.BatchNormalization(momentum=0.9, name="norm"),
        "layer": lambda: layers.LayerNormalization(name="norm"),
        "group": lambda: layers.GroupNormalization(groups, name="norm"),
    }
    chain = [layers.Input((height, width, 2)), layers.Dense(channels, name="first"), normal[name](), layers.ReLU()]
    net = nf.Network([*chain, layers.Flatten(), layers.Dense(CLASSES, name="last")], seed=3, dtype="float64")
    parameters = {n: torch.tensor(net.parameters[n].copy(), requires_grad=True) for n in net.trainable}
    there = normalization_in_torch(name, channels, groups)
    there.weight, there.bias = (torch.nn.Parameter(parameters[f"norm.{n}"]) for n in ("gamma", "beta"))
    parameters |= {"norm.gamma": there.weight, "norm.beta": there.bias}
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(RATE, momentum=0.9))
    steps = torch.optim.SGD(list(parameters.values()), RATE, momentum=0.9)
    n = rows * height * width
    wanted_variance = np.ones(channels)

    def forward(inputs: np.ndarray) -> "torch.Tensor":
        hidden = torch.tensor(inputs) @ parameters["first.kernel"] + parameters["first.bias"]
        hidden = there(hidden) if name == "layer" else there(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.relu(hidden).reshape(len(inputs), -1) @ parameters["last.kernel"] + parameters["last.bias"]

    for _ in range(STEPS):
        before = there.running_var.numpy().copy() if name == "batch" else None
        loss = torch.nn.functional.mse_loss(forward(x), torch.tensor(y))
        here, gradients = net.copy().loss_and_gradients(x, y, "mse", training=True)  # which moves no averages here
        steps.zero_grad()
        loss.backward()
        assert here == pytest.approx(loss.item(), rel=TOLERANCE)
        for parameter, gradient in gradients.items():
            np.testing.assert_allclose(gradient, parameters[parameter].grad.numpy(), rtol=0, atol=TOLERANCE)
        steps.step()
        trainer.train_on_batch(x, y)
        if before is not None:
            batch = (there.running_var.numpy() - 0.9 * before) / 0.1 * (n - 1) / n
            wanted_variance = 0.9 * wanted_variance + 0.1 * batch
    for parameter in net.trainable:
        there_now = parameters[parameter].detach().numpy()
        np.testing.assert_allclose(net.parameters[parameter], there_now, rtol=0, atol=TOLERANCE)
    if name == "batch":
        mean = there.running_mean.numpy()
        np.testing.assert_allclose(net.parameters["norm.moving_mean"], mean, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(net.parameters["norm.moving_variance"], wanted_variance, rtol=0, atol=TOLERANCE)
        there.running_var = torch.tensor(wanted_variance)
    there.eval()
    with torch.no_grad():
        np.testing.assert_allclose(net.predict(x), forward(x).numpy(), rtol=0, atol=TOLERANCE)


# A layer, the same in torch, the shape of an input's row, and the number of inputs.
TENSOR_LAYERS = {
    "subtract": (layers.Subtract, lambda a, b: a - b, (5,), 2),
    "average": (layers.Average, lambda a, b, c: (a + b + c) / 3, (5,), 3),
    "maximum": (layers.Maximum, torch.maximum, (3, 4), 2),
    "minimum": (layers.Minimum, torch.minimum, (3, 4), 2),
    "permute": (lambda: layers.Permute((3, 1, 2)), lambda x: x.permute(0, 3, 1, 2), (4, 3, 5), 1),
    "repeat": (lambda: layers.RepeatVector(4), lambda x: x[:, None].repeat(1, 4, 1), (5,), 1),
    "split": (lambda: layers.Split([1, 4], axis=1), lambda x: torch.split(x, [1, 3, 3], 1), (7, 2), 1),
}


@pytest.mark.parametrize("name", TENSOR_LAYERS)
def test_layers_of_tensors(name: str) -> None:
    make, there, shape, count = TENSOR_LAYERS[name]
    rng = np.random.default_rng(9)
    inputs = [rng.normal(size=(ROWS, *shape)) for _ in range(count)]
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    wanted = there(*tensors)
    outputs = [wanted] if isinstance(wanted, torch.Tensor) else list(wanted)
    gradients = [rng.normal(size=tuple(y.shape)) for y in outputs]
    torch.autograd.backward(outputs, [torch.tensor(gradient) for gradient in gradients])
    found = passes(make(), inputs, gradients)
    for here, tensor in zip(found.outputs, outputs, strict=True):
        np.testing.assert_allclose(here, tensor.detach().numpy(), rtol=0, atol=TOLERANCE)
    for here, tensor in zip(found.d_inputs, tensors, strict=True):
        np.testing.assert_allclose(here, tensor.grad.numpy(), rtol=0, atol=TOLERANCE)


def test_prelu() -> None:
    """PyTorch's slopes are those of channels, which stand in the second axis there."""
    rng = np.random.default_rng(10)
    x, dy, alpha = rng.normal(size=(ROWS, 4, 3, 6)), rng.normal(size=(ROWS, 4, 3, 6)), rng.normal(size=6)
    image, slopes = torch.tensor(x, requires_grad=True), torch.tensor(alpha, requires_grad=True)
    y = torch.nn.functional.prelu(image.permute(0, 3, 1, 2), slopes).permute(0, 2, 3, 1)
    y.backward(torch.tensor(dy))
    found = passes(layers.PReLU(shared_axes=(1, 2)), [x], [dy], {"alpha": alpha.reshape(1, 1, 6)})
    np.testing.assert_allclose(found.outputs[0], y.detach().numpy(), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.d_inputs[0], image.grad.numpy(), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.d_parameters["alpha"].ravel(), slopes.grad.numpy(), rtol=0, atol=TOLERANCE)


def test_embedding() -> None:
    """Sequences of ids, of which some repeat."""
    rng = np.random.default_rng(9)
    ids, y = rng.integers(0, 6, size=(ROWS, 8)), rng.normal(size=(ROWS, CLASSES))
    chain = [layers.Input((8,), dtype="int64"), layers.Embedding(6, UNITS, name="words"), layers.Tanh()]
    net = nf.Network([*chain, layers.Flatten(), layers.Dense(CLASSES, name="last")], seed=3, dtype="float64")
    parameters = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in net.parameters.items()}
    trainer = nf.Trainer(net, loss="mse", optimizer=OPTIMIZERS["adam"][0]())
    steps = OPTIMIZERS["adam"][1](list(parameters.values()))
    for _ in range(STEPS):
        hidden = torch.tanh(torch.nn.functional.embedding(torch.tensor(ids), parameters["words.embeddings"]))
        output = hidden.reshape(ROWS, -1) @ parameters["last.kernel"] + parameters["last.bias"]
        loss = torch.nn.functional.mse_loss(output, torch.tensor(y))
        steps.zero_grad()
        loss.backward()
        steps.step()
        assert trainer.train_on_batch(ids, y) == pytest.approx(loss.item(), rel=TOLERANCE)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, parameters[name].detach().numpy(), rtol=0, atol=TOLERANCE)
