"""One network, several threads and processes: who may use it when, and with which bits."""

import contextlib
import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_concurrency import PATIENCE, exit_code_of_child, expect_fork_warning, needs_fork

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
Y = np.linspace(0, 1, 8, dtype="float32").reshape(4, 2)


class Gate(layers.CustomLayer):
    """y = x; while it is closed, a call in the thread that closed it waits inside."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.opened = threading.Event(), threading.Event()
        self.opened.set()
        self.process = os.getpid()
        self.thread: int | None = None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Gate, ()

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = inputs[0]
        if threading.get_ident() == self.thread and os.getpid() == self.process:
            self.entered.set()
            assert self.opened.wait(PATIENCE)

    def backward(self, d_output: Array, d_inputs: list[Array], *rest: Any) -> None:
        d_inputs[0][...] = d_output

    def run_until_inside(self, call: Callable[[], Any]) -> threading.Thread:
        """A thread that runs the call up to this layer, and on once the gate is opened."""

        def work() -> None:
            self.thread = threading.get_ident()
            call()

        self.entered.clear()
        self.opened.clear()
        thread = threading.Thread(target=work)
        thread.start()
        assert self.entered.wait(PATIENCE)
        return thread


class Gated:
    """A network with a gate in its middle, and its trainer."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.net = nf.Network([layers.Input((3,)), layers.Dense(4), self.gate, layers.Dense(2)], seed=0)
        self.trainer = nf.Trainer(self.net, loss="mse", optimizer=nf.optimizers.SGD(0.1))


@pytest.fixture
def gated() -> Iterator[Gated]:
    made = Gated()
    yield made
    made.gate.opened.set()


def uses(g: Gated, folder: Path) -> dict[str, Callable[[], Any]]:
    """Everything that reads the parameters, and under a name with "writes" what changes them."""
    net, trainer = g.net, g.trainer

    def assign() -> None:
        net.parameters["dense.bias"] = np.zeros(4)

    return {
        "predict": lambda: net.predict(X),
        "predict in parts": lambda: net.predict(X, batch_size=2),
        "trace": lambda: net.trace(X),
        "evaluate": lambda: trainer.evaluate(X, Y),
        "loss_and_gradients": lambda: net.loss_and_gradients(X, Y, "mse"),
        "get_weights": net.get_weights,
        "copy": net.copy,
        "deepcopy": lambda: copy.deepcopy(net),
        "pickle": lambda: pickle.dumps(net),
        "deepcopy of the trainer": lambda: copy.deepcopy(trainer),
        "save": lambda: net.save(folder / "net.safetensors"),
        "save_checkpoint": lambda: trainer.save_checkpoint(folder / "run.safetensors"),
        "writes: set_weights": lambda: net.set_weights([np.zeros(v.shape) for v in net.parameters.values()]),
        "writes: parameters": assign,
        "writes: train_on_batch": lambda: trainer.train_on_batch(X, Y),
        "writes: train_on_batch of lists": lambda: trainer.train_on_batch(X.tolist(), Y.tolist()),
        "writes: fit": lambda: trainer.fit(X, Y, epochs=1, batch_size=4, progress=False),
        "writes: another trainer": lambda: nf.Trainer(net, loss="mse").train_on_batch(X, Y),
    }


def test_a_network_at_a_step_is_refused_to_other_threads(gated: Gated, tmp_path: Path) -> None:
    """Also where the call itself would have worked, on parameters of two steps."""
    wanted = Gated()
    wanted_losses = [wanted.trainer.train_on_batch(X, Y) for _ in range(2)]
    losses: list[float] = []
    thread = gated.gate.run_until_inside(lambda: losses.append(gated.trainer.train_on_batch(X, Y)))
    for name, use in uses(gated, tmp_path).items():
        with pytest.raises(RuntimeError) as refusal:
            use()
        assert "got one in train_on_batch; wait for its end" in str(refusal.value), name
        assert "network.copy()" in str(refusal.value)
    gated.gate.opened.set()
    thread.join()
    losses.append(gated.trainer.train_on_batch(X, Y))
    assert losses == wanted_losses
    assert gated.net.predict(X).tobytes() == wanted.net.predict(X).tobytes()
    for use in uses(gated, tmp_path).values():
        use()


def test_fit_is_refused_to_other_threads_from_its_begin_to_its_end(gated: Gated, tmp_path: Path) -> None:
    """Also between its steps, in callbacks, where the thread itself may do all of it."""
    refused: list[str] = []

    class Others(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            reads = {name: use for name, use in uses(gated, tmp_path).items() if name != "writes: fit"}
            with ThreadPoolExecutor(1) as pool:
                for name, use in reads.items():
                    error = pool.submit(use).exception()
                    assert isinstance(error, RuntimeError), name
                    assert "got one in fit" in str(error)
                    refused.append(name)
            for name, use in reads.items():
                if not name.startswith("writes: train") and not name.startswith("writes: another"):
                    use()

    gated.trainer.fit(X, Y, epochs=1, batch_size=4, callbacks=[Others()], progress=False)
    assert len(refused) == len(uses(gated, tmp_path)) - 1
    with ThreadPoolExecutor(1) as pool:
        for use in uses(gated, tmp_path).values():
            pool.submit(use).result()


def test_an_error_or_ctrl_c_gives_the_network_back(gated: Gated) -> None:
    class Stops(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gated.trainer.fit(X, Y, epochs=1, batch_size=4, callbacks=[Stops()], progress=False)
    with pytest.raises(ValueError, match="finite"):
        gated.trainer.train_on_batch(X * np.float32("nan"), Y)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(gated.net.predict, X).result()
        pool.submit(gated.trainer.train_on_batch, X, Y).result()


def test_readers_do_not_disturb_each_other_and_training_waits(gated: Gated, tmp_path: Path) -> None:
    wanted = gated.net.predict(X).tobytes()
    results: list[bytes] = []
    thread = gated.gate.run_until_inside(lambda: results.append(gated.net.predict(X).tobytes()))
    for name, use in uses(gated, tmp_path).items():
        if not name.startswith("writes"):
            use()
    trained = threading.Thread(target=lambda: results.append(b"%r" % gated.trainer.train_on_batch(X, Y)))
    trained.start()
    trained.join(0.05)
    assert trained.is_alive()
    gated.gate.opened.set()
    thread.join()
    trained.join()
    assert results[0] == wanted
    assert results[1] == b"%r" % Gated().trainer.train_on_batch(X, Y)


def test_training_from_within_a_prediction_is_refused() -> None:
    """It would wait for the prediction, which waits for it."""

    class Trains(layers.CustomLayer):
        def forward(self, inputs: list[Array], output: Array, *rest: Any) -> None:
            output[...] = inputs[0]
            try:
                trainer.train_on_batch(X, Y)
            except RuntimeError as error:
                errors.append(str(error))

    errors: list[str] = []

    net = nf.Network([layers.Input((3,)), layers.Dense(2), Trains()], seed=0)
    trainer = nf.Trainer(nf.Network([layers.Input((3,)), layers.Dense(2)]), loss="mse")
    net.predict(X)  # another network's training is nobody's business
    assert not errors
    trainer = nf.Trainer(net, loss="mse")
    net.predict(X)
    assert "predictions of other threads" in errors[0]


def test_writing_from_within_a_step_is_refused() -> None:
    """The layer may look at the network, but a changed parameter would be half of two steps."""

    class Writes(layers.CustomLayer):
        active = False

        def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
            output[...] = inputs[0]
            if Writes.active and training:
                net.get_weights()
                net.parameters["dense.bias"] = np.ones(2)

        def backward(self, d_output: Array, d_inputs: list[Array], *rest: Any) -> None:
            d_inputs[0][...] = d_output

    net = nf.Network([layers.Input((3,)), layers.Dense(2), Writes()], seed=0)
    trainer = nf.Trainer(net, loss="mse")
    Writes.active = True
    for call in (
        lambda: trainer.train_on_batch(X, Y),
        lambda: trainer.fit(X, Y, epochs=1, batch_size=4, progress=False),
    ):
        with pytest.raises(RuntimeError, match="from within"):
            call()
    assert not net.parameters["dense.bias"].any()


# ---- predictions of many threads -------------------------------------------------------------------


class Doubled(layers.CustomLayer):
    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        np.multiply(inputs[0], 2, out=output)


NETWORKS: dict[str, Callable[[], nf.Network]] = {
    "dense": lambda: nf.Network([layers.Input((20,)), layers.Dense(64, "tanh"), layers.Dense(5, "softmax")], seed=0),
    "float64": lambda: nf.Network([layers.Input((20,)), layers.Dense(64), layers.Dense(5)], seed=0, dtype="float64"),
    "images": lambda: nf.Network(
        [layers.Input((20,)), layers.Reshape((5, 4, 1)), layers.Conv2D(8, 3, padding="same"), layers.Flatten()], seed=0
    ),
    "custom": lambda: nf.Network([layers.Input((20,)), layers.Dense(8), Doubled()], seed=0),
    "nothing": lambda: nf.Network([layers.Input((20,))]),
}


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_eight_threads_predict_with_one_network(name: str, cores: int, rng: np.random.Generator) -> None:
    """Rows of all numbers, so that plans are made, given back, and replaced by larger ones."""
    nf.set_num_threads(cores)
    net, alone = NETWORKS[name](), NETWORKS[name]()
    inputs = [rng.normal(size=(rows, 20)).astype("float32") for rows in (1, 3, 300, 2, 17, 600, 256, 1)]
    wanted = [alone.predict(x).tobytes() for x in inputs]
    start = threading.Barrier(8)

    def work(thread: int) -> list[int]:
        start.wait(PATIENCE)
        calls = [(thread + i) % 8 for i in range(40)]
        return [call for call in calls if net.predict(inputs[call]).tobytes() != wanted[call]]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[]] * 8


def test_predictions_beside_training_are_those_of_a_step() -> None:
    """In a hurry and by chance: what is not refused has the bits of one step."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 64)).astype("float32"), rng.integers(0, 4, 32)

    def make() -> nf.Trainer:
        chain = [layers.Input((64,)), layers.Dense(500, "relu"), layers.Dense(500, "relu"), layers.Dense(4, "softmax")]
        return nf.Trainer(nf.Network(chain, seed=0), loss="cross_entropy")

    trainer = make()
    known = {trainer.network.predict(x[:8]).tobytes()}
    for _ in range(60):
        trainer.train_on_batch(x, y)
        known.add(trainer.network.predict(x[:8]).tobytes())
    trainer, done = make(), threading.Event()
    unknown = 0

    def predict() -> None:
        nonlocal unknown
        while not done.is_set():
            with contextlib.suppress(RuntimeError):
                unknown += trainer.network.predict(x[:8]).tobytes() not in known

    thread = threading.Thread(target=predict)
    thread.start()
    for _ in range(60):
        trainer.train_on_batch(x, y)
    done.set()
    thread.join()
    assert unknown == 0
    assert trainer.network.predict(x[:8]).tobytes() in known


# ---- processes -------------------------------------------------------------------------------------


@needs_fork
@expect_fork_warning
@pytest.mark.parametrize("use", ["predict", "evaluate", "writes: train_on_batch"])
def test_a_child_uses_what_a_thread_of_its_parent_used(use: str, gated: Gated, tmp_path: Path) -> None:
    wanted = gated.net.predict(X).tobytes()
    gated.trainer.evaluate(X, Y)
    thread = gated.gate.run_until_inside(uses(gated, tmp_path)[use])

    def child() -> bool:
        if gated.net.predict(X).tobytes() != wanted:
            return False
        for other in uses(gated, tmp_path).values():
            other()
        return True

    assert exit_code_of_child(child) == 0
    gated.gate.opened.set()
    thread.join()
    gated.trainer.train_on_batch(X, Y)


@needs_fork
@expect_fork_warning
def test_a_child_that_is_forked_within_fit_goes_on(gated: Gated) -> None:
    """In its only thread all of it is allowed, and the blocks that the parent entered end there without harm."""
    codes = []

    class Forks(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            def child() -> bool:
                self.trainer.network.predict(X)
                self.trainer.train_on_batch(X, Y)
                return True

            codes.append(exit_code_of_child(child))

    def whole() -> bool:
        gated.trainer.fit(X, Y, epochs=2, batch_size=4, callbacks=[Forks()], progress=False)
        gated.net.predict(X)
        gated.trainer.train_on_batch(X, Y)
        return codes == [0, 0]

    assert whole()
    codes.clear()

    class ForksInside(layers.CustomLayer):
        child: int | None = None

        def forward(self, inputs: list[Array], output: Array, *rest: Any) -> None:
            output[...] = inputs[0]
            if self.child is None:
                self.child = os.fork()

    inside = ForksInside()
    net = nf.Network([layers.Input((3,)), inside])
    code = 1
    try:
        code = 0 if (net.predict(X) == X).all() and (net.predict(X) == X).all() else 1
        if inside.child == 0:
            nf.Trainer(net, loss="mse").evaluate(X, X)
            net.set_weights([])
    finally:
        if inside.child == 0:
            os._exit(code)
    assert inside.child is not None
    assert os.waitstatus_to_exitcode(os.waitpid(inside.child, 0)[1]) == 0


@needs_fork
@expect_fork_warning
def test_a_child_has_the_parameters_of_a_whole_step() -> None:
    """A fork in the middle of an update would leave the child with parameters of two steps, and no thread to end it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 64)).astype("float32"), rng.integers(0, 4, 4)

    def make() -> nf.Trainer:
        chain = [layers.Input((64,)), layers.Dense(1500, "relu"), layers.Dense(700), layers.Dense(4, "softmax")]
        return nf.Trainer(nf.Network(chain, seed=0), loss="cross_entropy")

    def bits(trainer: nf.Trainer) -> int:
        return hash((trainer.network.flat().tobytes(), *(part.tobytes() for part in trainer.plan.state().values())))

    steps, known = 100, {}
    trainer = make()
    for _ in range(steps):
        known[trainer.iteration] = bits(trainer)
        trainer.train_on_batch(x, y)
    trainer, done = make(), threading.Event()

    def train() -> None:
        while trainer.iteration < steps - 1 and not done.is_set():
            trainer.train_on_batch(x, y)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(8):
            assert exit_code_of_child(lambda: bits(trainer) == known[trainer.iteration]) == 0
    finally:
        done.set()
        thread.join()


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("attempt", range(3))
def test_daemon_threads_with_a_custom_layer_do_not_crash_the_end(attempt: int) -> None:
    """The interpreter ends threads wherever they ask for its lock, also deep inside a user's method."""
    code = """
import sys, threading, time
import numpy as np, nnfast as nf
from nnfast import layers, losses
sys.setswitchinterval(1e-5)
class Own(layers.CustomLayer):
    def forward(self, inputs, output, parameters, training):
        for i in range(20): output[...] = inputs[0] * 1.0
    def backward(self, d_output, d_inputs, *rest):
        for i in range(20): d_inputs[0][...] = d_output
class Loss(losses.CustomLoss):
    def value(self, target, prediction): return ((target - prediction) ** 2).sum(axis=1)
    def gradient(self, target, prediction): return 2 * (prediction - target)
net = nf.Network([layers.Input((32,)), layers.Dense(32), Own()], seed=0)
x = np.ones((64, 32), "float32")
def predict():
    while True: net.copy().predict(x)
def train():
    trainer = nf.Trainer(net.copy(), loss=Loss(), optimizer=nf.optimizers.SGD(0.0))
    while True: trainer.train_on_batch(x, x)
for work in (predict, predict, train, train): threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""
    done = _run(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_subinterpreter_gets_an_import_error() -> None:
    code = """
import sys, warnings
warnings.simplefilter("ignore")
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        raise SystemExit(77)
made = interpreters.create()
inside = '''
try:
    import nnfast
    print("imported")
except ImportError:
    print("refused")
'''
interpreters.run_string(made, inside)
"""
    done = _run(code)
    if done.returncode == 77:
        pytest.skip("this Python shows no subinterpreters")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("imported", "refused")
