"""Augmentation: its options, what it draws, and where training uses it; kernel_table_augment.py has the pixels."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES
from numpy.typing import NDArray

import nnfast as nf
from nnfast import _core, kernels, layers
from nnfast.data import Augmentation

Array = NDArray[Any]

# Standard errors that a mean may be off.
ALLOWED = 5.0
COUNT = 4000


def ramps(count: int, side: int) -> Array:
    """Images whose two channels are the column and the row, counted from the center: linear, so sampled exactly."""
    axis = np.arange(side) - (side - 1) / 2
    return np.broadcast_to(np.stack(np.meshgrid(axis, axis), axis=-1), (count, side, side, 2)).copy()


def drawn_maps(augmentation: Augmentation, seed: int = 3, step: int = 8) -> tuple[Array, Array]:
    """Each image's map from output to source, read off at its middle: matrix (N, 2, 2) in (x, y), and offset (N, 2)."""
    side = 21
    middle = kernels.augment(ramps(COUNT, side), augmentation, seed, step, dtype="float64")[:, 9:12, 9:12]
    matrix = np.stack([middle[:, 1, 2] - middle[:, 1, 1], middle[:, 2, 1] - middle[:, 1, 1]], axis=-1)
    return matrix, middle[:, 1, 1]


def assert_uniform(values: Array, low: float, high: float) -> None:
    """Range, mean, variance, and no correlation from one image to the next."""
    spread = high - low
    assert values.min() >= low - 1e-9
    assert values.max() <= high + 1e-9
    assert np.ptp(values) > 0.99 * spread
    unit = (values - low) / spread - 0.5
    assert abs(unit.mean()) < ALLOWED * (1 / 12 / COUNT) ** 0.5
    assert abs((unit**2).mean() - 1 / 12) < ALLOWED * (1 / 180 / COUNT) ** 0.5
    assert abs(np.corrcoef(unit[1:], unit[:-1])[0, 1]) < ALLOWED / COUNT**0.5


def test_shifts_are_uniform_and_independent() -> None:
    matrix, offset = drawn_maps(Augmentation(shift=2.5))
    np.testing.assert_allclose(matrix, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-12)
    for axis in (0, 1):
        assert_uniform(offset[:, axis], -2.5, 2.5)
    assert abs(np.corrcoef(offset.T)[0, 1]) < ALLOWED / COUNT**0.5


def test_crops_are_whole_and_each_is_as_frequent() -> None:
    _, offset = drawn_maps(Augmentation(crop_padding=2))
    for axis in (0, 1):
        places, counts = np.unique(offset[:, axis], return_counts=True)
        assert places.tolist() == [-2, -1, 0, 1, 2]
        assert (np.abs(counts - COUNT / 5) < ALLOWED * (COUNT * 0.2 * 0.8) ** 0.5).all()


def test_rotations_are_uniform() -> None:
    matrix, offset = drawn_maps(Augmentation(rotation=30))
    np.testing.assert_allclose(offset, 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-12)
    np.testing.assert_allclose(matrix @ matrix.swapaxes(1, 2), np.broadcast_to(np.eye(2), matrix.shape), atol=1e-12)
    # The map back turns counterclockwise, where y points down, by the angle that the image turned clockwise.
    assert_uniform(np.degrees(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0])), -30, 30)


def test_zooms_and_shears_are_uniform() -> None:
    matrix, _ = drawn_maps(Augmentation(zoom=0.25))
    np.testing.assert_allclose(matrix[:, 0, 0], matrix[:, 1, 1], atol=1e-12)
    assert_uniform(1 / matrix[:, 0, 0], 0.75, 1.25)
    matrix, _ = drawn_maps(Augmentation(shear=20))
    np.testing.assert_allclose(matrix[:, [0, 1, 1], [0, 0, 1]], np.tile([1.0, 0, 1], (COUNT, 1)), atol=1e-12)
    assert_uniform(-np.degrees(np.arctan(matrix[:, 0, 1])), -20, 20)


def test_flips_take_every_second_image_independently() -> None:
    matrix, offset = drawn_maps(Augmentation(horizontal_flip=True, vertical_flip=True))
    np.testing.assert_array_equal(offset, 0)
    flips = np.stack([matrix[:, 0, 0] == -1, matrix[:, 1, 1] == -1])
    assert (np.abs(flips.mean(axis=1) - 0.5) < ALLOWED * 0.5 / COUNT**0.5).all()
    assert abs((flips[0] == flips[1]).mean() - 0.5) < ALLOWED * 0.5 / COUNT**0.5


def test_brightness_and_contrast_are_uniform() -> None:
    images = np.tile(np.array([10.0, 30.0]), COUNT).reshape(COUNT, 1, 2, 1)
    changed = kernels.augment(images, Augmentation(brightness=5, contrast=0.5), dtype="float64")[:, 0, :, 0]
    assert_uniform(changed.mean(axis=1) - 20, -5, 5)
    assert_uniform((changed[:, 1] - changed[:, 0]) / 20, 0.5, 1.5)


def test_centres_of_cutouts_are_all_pixels() -> None:
    images = np.ones((COUNT, 4, 5, 1), np.uint8)
    cut = kernels.augment(images, Augmentation(cutout=1))[..., 0] == 0
    assert (cut.sum(axis=(1, 2)) == 1).all()
    assert (np.abs(cut.sum(axis=0) - COUNT / 20) < ALLOWED * (COUNT / 20) ** 0.5).all()


def test_seeds_and_steps_draw_anew_and_options_do_not_disturb_each_other() -> None:
    base = drawn_maps(Augmentation(shift=2))[1]
    assert abs(np.corrcoef(base[:, 0], drawn_maps(Augmentation(shift=2), seed=4)[1][:, 0])[0, 1]) < ALLOWED / COUNT**0.5
    assert abs(np.corrcoef(base[:, 0], drawn_maps(Augmentation(shift=2), step=9)[1][:, 0])[0, 1]) < ALLOWED / COUNT**0.5
    moved = drawn_maps(Augmentation(shift=2, crop_padding=1))[1] - base
    np.testing.assert_allclose(moved, moved.round(), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_option_no_change(dtype: str, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (7, 5, 6, 3), np.uint8)
    for images in (pixels, rng.standard_normal(pixels.shape).astype(dtype)):
        got = kernels.augment(images, Augmentation(fill="reflect"), 1, 2, scale=1 / 255, offset=0.5, dtype=dtype)
        plain = kernels.gather_rows(images, np.arange(7), 1 / 255, 0.5, dtype)
        np.testing.assert_array_equal(got, plain)


def test_images_begin_anywhere_in_a_batch(rng: np.random.Generator) -> None:
    """A batch that is shared among threads is the batch of one thread; a longer one begins with a shorter one."""
    images = rng.integers(0, 256, (300, 32, 32, 3), np.uint8)
    augmentation = Augmentation(rotation=10, crop_padding=4, contrast=0.5)
    whole = kernels.augment(images, augmentation, 5, 6)
    for count in (1, 2, 3, 5, 298):
        np.testing.assert_array_equal(kernels.augment(images[:count], augmentation, 5, 6), whole[:count])


# ---- options ---------------------------------------------------------------------------


def test_options_are_shown_compared_and_fixed() -> None:
    one = Augmentation(shift=2, rotation=10, fill="nearest")
    assert repr(one) == "Augmentation(shift=2.0, rotation=10.0, fill='nearest')"
    assert one == Augmentation(rotation=10, shift=2.0, fill="nearest")
    assert hash(one) == hash(Augmentation(rotation=10, shift=2.0, fill="nearest"))
    assert one != Augmentation(shift=2)
    assert eval(repr(one)) == one
    for change in (lambda: setattr(one, "shift", 3), lambda: delattr(one, "shift"), lambda: setattr(one, "new", 1)):
        with pytest.raises(AttributeError, match="is fixed; make a new one"):
            change()
    assert one.shift == 2


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"shift": -1}, ValueError, "0 <= shift < 32768"),
        ({"shift": float("nan")}, ValueError, "shift"),
        ({"shift": "2"}, TypeError, "expected a real number as shift, got '2'"),
        ({"rotation": 181}, ValueError, "0 <= rotation <= 180"),
        ({"zoom": 1}, ValueError, "0 <= zoom < 1"),
        ({"shear": 90}, ValueError, "0 <= shear < 90"),
        ({"crop_padding": 1.5}, TypeError, "expected an integer as crop_padding, got 1.5"),
        ({"crop_padding": -1}, ValueError, "crop_padding >= 0"),
        ({"cutout": 40000}, ValueError, "0 <= cutout < 32768"),
        ({"cutout": True}, TypeError, "expected an integer as cutout"),
        ({"horizontal_flip": 1}, TypeError, "expected True or False as horizontal_flip, got 1"),
        ({"contrast": 1.5}, ValueError, "0 <= contrast <= 1"),
        ({"brightness": float("inf")}, ValueError, "brightness"),
        ({"fill": "mirror"}, ValueError, "unknown fill of Augmentation 'mirror'"),
        ({"fill_value": None}, TypeError, "fill_value"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        Augmentation(**options)


@pytest.mark.parametrize(
    ("option", "last", "first"),
    [
        ("shift", np.nextafter(32768, 0), 32768.0),
        ("rotation", 180.0, np.nextafter(180, 181)),
        ("zoom", np.nextafter(1, 0), 1.0),
        ("shear", np.nextafter(90, 0), 90.0),
        ("crop_padding", 32767, 32768),
        ("cutout", 32767, 32768),
        ("contrast", 1.0, np.nextafter(1, 2)),
        ("brightness", 1e308, np.inf),
    ],
)
def test_limits_of_options(option: str, last: float, first: float) -> None:
    """The last value that is accepted, the first one that is not, and 0."""
    assert getattr(Augmentation(**{option: last}), option) == last
    assert getattr(Augmentation(**{option: 0}), option) == 0
    below = -1 if isinstance(last, int) else np.nextafter(0, -1)
    for value in (first, below):
        with pytest.raises(ValueError, match=option):
            Augmentation(**{option: value})


IMAGES = np.zeros((2, 4, 4, 1), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: kernels.augment(IMAGES[0], Augmentation()), ValueError, r"images: expected shape \(N, H, W, C\)"),
        (lambda: kernels.augment(IMAGES[:, :0], Augmentation()), ValueError, "expected images with pixels"),
        (lambda: kernels.augment(IMAGES[:, ::2], Augmentation()), ValueError, "images"),
        (lambda: kernels.augment(IMAGES.astype(np.int32), Augmentation()), TypeError, "images.*int32"),
        (lambda: kernels.augment(IMAGES.astype(np.float64), Augmentation()), TypeError, "expected float32 or uint8"),
        (lambda: kernels.augment(IMAGES, Augmentation(), dtype="int8"), ValueError, "int8"),
        (lambda: kernels.augment(IMAGES, {"shift": 2}), TypeError, r"expected an nnfast\.data\.Augmentation, got dict"),
        (lambda: kernels.augment(IMAGES, Augmentation(fill_value=0.5)), ValueError, "whole fill_value from 0 to 255"),
        (lambda: kernels.augment(IMAGES, Augmentation(fill_value=256)), ValueError, "whole fill_value .* got 256"),
        (lambda: kernels.augment(np.zeros((1, 1, 32769, 1), np.uint8), Augmentation()), ValueError, "width"),
        (lambda: _core.augment(IMAGES, {"zoom": 1.0}, 0, 0, 1.0, 0.0, "float32"), ValueError, "zoom"),
        (lambda: _core.augment(IMAGES, {"shift": -1.0}, 0, 0, 1.0, 0.0, "float32"), ValueError, "shift"),
        (lambda: _core.augment(IMAGES, {"fill": "wrap"}, 0, 0, 1.0, 0.0, "float32"), ValueError, "got 'wrap'"),
    ],
)
def test_wrong_calls(call: Callable[[], object], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_no_images() -> None:
    assert kernels.augment(IMAGES[:0], Augmentation(shift=2)).shape == (0, 4, 4, 1)


# ---- training --------------------------------------------------------------------------

FULL = Augmentation(shift=1, rotation=15, zoom=0.1, horizontal_flip=True, brightness=9, contrast=0.2, cutout=3)


def digits(rng: np.random.Generator, rows: int = 60) -> tuple[Array, Array]:
    return rng.integers(0, 256, (rows, 9, 8, 1), np.uint8), rng.integers(0, 3, rows)


def network(rescaling: bool = True, dtype: str = "float32") -> nf.Network:
    first = [layers.Rescaling(1 / 255)] if rescaling else []
    return nf.Network(
        [layers.Input((9, 8, 1)), *first, layers.Flatten(), layers.Dense(3, "softmax")], seed=11, dtype=dtype
    )


def trainer(**options: Any) -> nf.Trainer:
    return nf.Trainer(network(**options), loss="cross_entropy", optimizer=nf.optimizers.SGD(0.1, momentum=0.5))


def bits(trained: nf.Trainer) -> bytes:
    return trained.network.flat().tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rescaling", [True, False])
def test_a_step_sees_the_kernels_images(rescaling: bool, dtype: str, rng: np.random.Generator) -> None:
    """Fit on augmented images is train_on_batch on what the kernel makes of each batch, rescaled or not."""
    x, y = digits(rng)
    fitted = trainer(rescaling=rescaling, dtype=dtype)
    fitted.fit(x, y, epochs=2, batch_size=25, shuffle=False, augmentation=FULL)
    stepped = trainer(rescaling=rescaling, dtype=dtype)
    step = 0
    for _ in range(2):
        for first in range(0, 60, 25):
            part = slice(first, first + 25)
            # Before the network's own rescaling, whose product rounds once more.
            images = kernels.augment(np.ascontiguousarray(x[part]), FULL, seed=11, step=step, dtype=dtype)
            stepped.train_on_batch(images, y[part])
            step += 1
    # Steps of sizes around .1 and pixels of up to 255: products that differ by a few eps.
    got, expected = fitted.network.flat(), stepped.network.flat()
    if rescaling:
        np.testing.assert_allclose(got, expected, rtol=0, atol=200 * np.finfo(dtype).eps)
    else:
        np.testing.assert_array_equal(got, expected)


def test_rows_are_augmented_by_their_place_in_the_batch(rng: np.random.Generator) -> None:
    """Shuffled or not, and from numbers as from bytes."""
    x, y = digits(rng)
    one, other = trainer(rescaling=False), trainer(rescaling=False)
    one.fit(x, y, epochs=1, batch_size=20, augmentation=FULL)
    order = kernels.random_permutation(60, 11, 2**31)
    other.fit(x[order].astype(np.float32), y[order], epochs=1, batch_size=20, shuffle=False, augmentation=FULL)
    np.testing.assert_allclose(one.network.flat(), other.network.flat(), rtol=1e-4, atol=1e-3)


def test_only_fit_augments(rng: np.random.Generator) -> None:
    x, y = digits(rng)
    augmented, plain = trainer(), trainer()
    history = augmented.fit(x, y, epochs=1, batch_size=20, augmentation=FULL, validation_data=(x, y))
    plain.network.flat()[...] = augmented.network.flat()
    assert augmented.evaluate(x, y) == plain.evaluate(x, y)
    assert history.history["val_loss"] == [plain.evaluate(x, y)["loss"]]
    np.testing.assert_array_equal(augmented.network.predict(x), plain.network.predict(x))
    assert augmented.train_on_batch(x[:8], y[:8]) == plain.train_on_batch(x[:8], y[:8])


def test_another_augmentation_keeps_the_state(rng: np.random.Generator) -> None:
    """Without effect on images, switching between augmentations changes nothing: momentum and step go on."""
    x, y = digits(rng)
    plain, switched = trainer(), trainer()
    plain.fit(x, y, epochs=3, batch_size=20)
    for epoch, augmentation in enumerate((None, Augmentation(), Augmentation(fill="nearest"))):
        switched.fit(x, y, epochs=epoch + 1, initial_epoch=epoch, batch_size=20, augmentation=augmentation)
    assert bits(plain) == bits(switched)


@pytest.mark.usefixtures("threads")
def test_the_same_bits_for_any_number_of_threads(rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 256, (400, 24, 24, 3), np.uint8), rng.integers(0, 3, 400)
    results = set()
    for count in (1, 2, 3, 8):
        nf.set_num_threads(count)
        net = nf.Network([layers.Input((24, 24, 3)), layers.Flatten(), layers.Dense(3, "softmax")], seed=1)
        run = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(1e-4))
        run.fit(x, y, epochs=2, batch_size=200, augmentation=FULL)
        results.add(bits(run))
    assert len(results) == 1


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = digits(rng)
    through, first = trainer(), trainer()
    through.fit(x, y, epochs=4, batch_size=20, augmentation=FULL)

    @dataclasses.dataclass
    class StopAfter(nf.callbacks.Callback):
        batches: int

        def on_batch_end(self, batch: int, logs: Any) -> None:
            if first.iteration == self.batches:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y, epochs=4, batch_size=20, augmentation=FULL, callbacks=[StopAfter(5)])
    first.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    resumed.fit(x, y, epochs=4, initial_epoch=resumed.epoch, batch_size=20, augmentation=FULL)
    assert bits(resumed) == bits(through)


@pytest.mark.parametrize(
    ("shape", "augmentation", "error", "match"),
    [
        ((72,), Augmentation(), ValueError, r"augmentation: expected images of shape \(N, H, W, C\), got \(N, 72\)"),
        ((9, 8), Augmentation(), ValueError, r"got \(N, 9, 8\); begin the network with layers\.Input"),
        ((9, 8, 1), {"shift": 2}, TypeError, r"fit: expected augmentation as an nnfast\.data\.Augmentation, got dict"),
        ((9, 8, 1), Augmentation, TypeError, "expected augmentation as an"),
        ((9, 8, 1), Augmentation(fill_value=300), ValueError, "expected a whole fill_value from 0 to 255"),
    ],
)
def test_what_fit_refuses(
    shape: tuple[int, ...], augmentation: Any, error: type, match: str, rng: np.random.Generator
) -> None:
    x, y = digits(rng)
    net = nf.Network([layers.Input(shape), layers.Flatten(), layers.Dense(3, "softmax")], seed=1)
    run = nf.Trainer(net, loss="cross_entropy")
    before = bits(run)
    with pytest.raises(error, match=match):
        run.fit(x.reshape(60, *shape), y, epochs=1, augmentation=augmentation)
    assert bits(run) == before
    assert run.iteration == 0
    run.fit(x.reshape(60, *shape), y, epochs=1)  # and goes on without
    assert run.iteration == 2


def test_nan_in_images_is_refused(rng: np.random.Generator) -> None:
    x, y = digits(rng)
    values = x.astype(np.float32)
    values[3, 4, 5] = np.nan
    run = trainer()
    with pytest.raises(ValueError, match="NaN"):
        run.fit(values, y, epochs=1, augmentation=FULL)
    assert run.iteration == 0
