"""Ctrl-C, and other signals, in the middle of long work: they are handled there, and nothing is left half done."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import kernels, layers
from nnfast.core.typing import Array

pytestmark = [
    pytest.mark.usefixtures("threads"),
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer"),
]

LONG = 0.8  # seconds of processor time that a call shall take at least
BETWEEN = 0.08  # between signals; the core looks for them every 50 ms


def convnet() -> nf.Network:
    chain = [layers.Input((16, 16, 1)), layers.Conv2D(16, 3, padding="same", activation="relu")]
    return nf.Network([*chain, layers.Conv2D(16, 3), layers.Flatten(), layers.Dense(10, "softmax")], seed=0)


def images(rows: int) -> tuple[Array, Array]:
    return np.zeros((rows, 16, 16, 1), "uint8"), np.zeros(rows, "int64")


def product(size: int) -> Callable[[], Any]:
    a = np.ones((size, 512), "float32")
    return lambda: kernels.matmul(a, a.T)


def predicts(rows: int) -> Callable[[], Any]:
    net, (x, _) = convnet(), images(rows)
    return lambda: net.predict(x)


def predicts_at_once(rows: int) -> Callable[[], Any]:
    net, (x, _) = convnet(), images(rows)
    return lambda: net.predict(x, batch_size=rows)


def evaluates(rows: int) -> Callable[[], Any]:
    trainer, (x, y) = nf.Trainer(convnet(), loss="cross_entropy", metrics=["accuracy"]), images(rows)
    return lambda: trainer.evaluate(x, y)


def validates(rows: int) -> Callable[[], Any]:
    trainer, (x, y) = nf.Trainer(convnet(), loss="cross_entropy"), images(rows)
    return lambda: trainer.fit(x[:8], y[:8], epochs=1, batch_size=8, validation_data=(x, y), progress=False)


def steps_once(rows: int) -> Callable[[], Any]:
    trainer, (x, y) = nf.Trainer(convnet(), loss="cross_entropy"), images(rows)
    return lambda: trainer.train_on_batch(x, y)


def fits_one_step(rows: int) -> Callable[[], Any]:
    trainer, (x, y) = nf.Trainer(convnet(), loss="cross_entropy"), images(rows)
    return lambda: trainer.fit(x, y, epochs=1, batch_size=rows, progress=False)


def tiny_rows(rows: int) -> Callable[[], Any]:
    net, x = nf.Network([layers.Input((1,)), layers.Dense(1, "tanh")], seed=0), np.ones((16384 * rows, 1), "float32")
    return lambda: net.predict(x, batch_size=1)


def convolves(rows: int) -> Callable[[], Any]:
    x, kernel = np.ones((rows, 16, 16, 16), "float32"), np.ones((3, 3, 16, 16), "float32")
    return lambda: kernels.conv2d_forward(x, kernel)


def normalizes(rows: int) -> Callable[[], Any]:
    x = np.ones((rows, 16, 16, 16), "float32")
    return lambda: kernels.batch_norm_forward(x)


CALLS: list[tuple[Callable[[int], Callable[[], Any]], int]] = [
    *((product, 1), (product, 2), (predicts, 1), (predicts_at_once, 2), (tiny_rows, 1), (evaluates, 2)),
    *((validates, 1), (steps_once, 2), (fits_one_step, 1), (convolves, 2), (normalizes, 1)),
]


@pytest.fixture
def alarms() -> Iterator[list[int]]:
    """The alarms that Python has handled."""
    handled: list[int] = []
    before = signal.signal(signal.SIGPROF, lambda number, frame: handled.append(number))
    yield handled
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize(("make", "cores"), CALLS)
def test_signals_are_handled_while_a_long_call_runs(
    make: Callable[[int], Callable[[], Any]], cores: int, alarms: list[int]
) -> None:
    """An alarm rings every so often; however many have rung, Python handles but one after a call that never looks."""
    nf.set_num_threads(cores)
    size = 256
    while True:
        call = make(size)
        alarms.clear()
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, BETWEEN, BETWEEN)
        call()
        signal.setitimer(signal.ITIMER_PROF, 0)
        if time.process_time() - started > LONG:
            break
        size *= 2
    assert len(alarms) >= 3


def interrupted(call: Callable[[], Any]) -> bool:
    """Whether Ctrl-C, a moment after the call's begin, ends it."""
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        timer.start()
        call()
        timer.join()  # the call was too short
    except KeyboardInterrupt:
        return True
    return False


def state(trainer: nf.Trainer) -> tuple[Any, ...]:
    return (
        trainer.iteration,
        trainer.network.flat().tobytes(),
        *(part.tobytes() for part in trainer.plan.state().values()),
    )


@pytest.mark.usefixtures("in_foreground")
@pytest.mark.parametrize("cores", [1, 2])
def test_a_step_that_is_interrupted_is_void(cores: int) -> None:
    nf.set_num_threads(cores)
    trainer, twin = (nf.Trainer(convnet(), loss="cross_entropy", optimizer="adam") for _ in range(2))
    x, y = images(8)
    losses = [[t.train_on_batch(x + 1, y) for _ in range(2)] for t in (trainer, twin)]
    before = state(trainer)
    rows = 4096
    while not interrupted(lambda: trainer.train_on_batch(*images(rows))):  # noqa: B023
        rows *= 2
        trainer = nf.Trainer(convnet(), loss="cross_entropy", optimizer="adam")
        losses[0] = [trainer.train_on_batch(x + 1, y) for _ in range(2)]
    assert state(trainer) == before
    assert trainer.train_on_batch(x, y) == twin.train_on_batch(x, y)
    assert losses[0] == losses[1]
    assert state(trainer) == state(twin)


@pytest.mark.usefixtures("in_foreground")
@pytest.mark.parametrize("cores", [1, 2])
def test_an_interrupted_product_leaves_the_rest_undone(cores: int) -> None:
    """Some rows keep what was there before: the call did not run to its end.

    An alarm that comes with the last piece of work finds nothing left to do: then a longer product is interrupted.
    """
    nf.set_num_threads(cores)
    b = np.ones((1024, 1024), "float32")
    for rows in (4096, 8192, 16384, 32768, 65536):
        a, out = np.ones((rows, 1024), "float32"), np.full((rows, 1024), 7, "float32")
        if interrupted(lambda: kernels.matmul(a, b, out=out)) and (out == 7).any():  # noqa: B023
            break
    assert (out == 7).any()
    np.testing.assert_array_equal(kernels.matmul(a[:300], b), np.full((300, 1024), 1024, "float32"))


def test_other_threads_are_not_looked_after(alarms: list[int]) -> None:
    """Only the main thread handles signals; work elsewhere goes on and comes to its end."""
    call = predicts(2048)
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    thread.start()
    thread.join()
    assert results[0].shape == (2048, 10)


def attends(rows: int) -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(rows // 64, 256, 4, 16)).astype("float32") for _ in range(3))
    return lambda: kernels.attention_forward(q, k, v)[0]


def multiplies(rows: int) -> Callable[[], Any]:
    a, b = (np.random.default_rng(i).normal(size=(rows, 1024)).astype("float32") for i in range(2))
    return lambda: kernels.matmul(a, b.T)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("make", [attends, multiplies])
def test_a_handler_may_use_the_library(make: Callable[[int], Callable[[], Any]], cores: int) -> None:
    """The call that it interrupts goes on with what it had packed, and has the bits that it has alone."""
    nf.set_num_threads(cores)
    inner, size, handled = make(256), 1024, 0

    def handler(number: int, frame: Any) -> None:
        nonlocal handled
        handled += 1
        inner()
        kernels.matmul(np.ones((700, 700), "float32"), np.ones((700, 700), "float32"))

    before = signal.signal(signal.SIGPROF, handler)
    try:
        while True:
            call, handled = make(size), 0
            signal.setitimer(signal.ITIMER_PROF, BETWEEN, BETWEEN)
            disturbed = call()
            signal.setitimer(signal.ITIMER_PROF, 0)
            if handled >= 2:
                break
            size *= 2
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    alone = call()
    np.testing.assert_array_equal(disturbed, alone)
