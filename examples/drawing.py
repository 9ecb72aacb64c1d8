"""Code shared by the pictures of the examples: colors, figures, drawings of networks, and output files."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#2a6f97", "#e07a1f", "#3a8f5c", "#c1354a", "#7b5aa6", "#8a8f98"

rcParams.update(
    {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e3e5e8",
        "lines.linewidth": 2.0,
        "legend.frameon": False,
    }
)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of the given size in inches with a grid of axes: (figure, axes), a single Axes or an array."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write the figure to folder/name and print the path."""
    path = folder / name
    figure.savefig(path, dpi=140)
    print(f"picture: {path}")
    return path


def output_folder() -> Path:
    """The folder for pictures given on the command line, created if missing; by default the current one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where pictures go (default: here)")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def node_positions(sizes: Sequence[int]) -> list[np.ndarray]:
    """Positions (units, 2) of each layer's units: layers at x = 0, 1, ..., units from top to bottom around y = 0."""
    tallest = max(sizes)
    spacing = [min(1.6, tallest / n) for n in sizes]
    return [
        np.array([(layer, gap * ((n - 1) / 2 - i)) for i in range(n)])
        for layer, (n, gap) in enumerate(zip(sizes, spacing, strict=True))
    ]


def draw_weights(axes: Axes, places: Sequence[np.ndarray], kernels: Sequence[np.ndarray]) -> None:
    """Each weight as a line: blue if positive, orange if negative, the wider and darker the larger it is."""
    axes.axis("off")
    for start, end, kernel in zip(places[:-1], places[1:], kernels, strict=True):
        largest = np.abs(kernel).max() or 1.0
        for (i, j), weight in np.ndenumerate(kernel):
            size = abs(weight) / largest
            if size:
                axes.plot(
                    *zip(start[i], end[j], strict=True),
                    color=BLUE if weight > 0 else ORANGE,
                    linewidth=0.4 + 2.6 * size,
                    alpha=0.15 + 0.75 * size,
                    solid_capstyle="round",
                    zorder=1,
                )


def draw_units(axes: Axes, places: Sequence[np.ndarray], size: float = 260) -> None:
    """Each unit as a circle."""
    for layer in places:
        axes.scatter(layer[:, 0], layer[:, 1], s=size, color="white", edgecolor="#30343b", linewidth=1.4, zorder=2)


def mosaic(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures (n, H, W, ...) side by side in one, separated by lines of NaN, which are not drawn."""
    n, height, width, *colors = pictures.shape
    rows = -(-n // columns)
    cells = np.full((rows * columns, height + 1, width + 1, *colors), np.nan)
    cells[:n, :height, :width] = pictures
    grid = cells.reshape(rows, columns, height + 1, width + 1, *colors).swapaxes(1, 2)
    return grid.reshape(rows * (height + 1), columns * (width + 1), *colors)[:-1, :-1]


def draw_filters(axes: Axes, kernel: np.ndarray, columns: int) -> None:
    """The first layer's kernels (KH, KW, C, O).

    With one channel, positive weights are red and negative ones blue; with three, gray is 0.
    """
    weights = kernel.transpose(3, 0, 1, 2)
    weights = weights / np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    if kernel.shape[2] == 3:
        axes.imshow(np.nan_to_num(mosaic((weights + 1) / 2, columns), nan=1.0))
    else:
        axes.imshow(mosaic(weights.mean(axis=3), columns), cmap="seismic", vmin=-1, vmax=1)
    axes.axis("off")


def draw_feature_maps(axes: Axes, maps: np.ndarray, columns: int) -> None:
    """A layer's output (H, W, C) for one image, channel by channel; white is the highest value of the layer."""
    axes.imshow(mosaic(maps.transpose(2, 0, 1), columns), cmap="magma", vmin=0)
    axes.axis("off")


def draw_confusion(axes: Axes, truth: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """How often each class (row) gets each answer (column); returns the counts."""
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (truth, answers), 1)
    wrong = np.where(np.eye(len(names), dtype=bool), np.nan, counts)
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=2 * max(np.nanmax(wrong), 1))
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, count or "", ha="center", va="center", fontsize=8)
    axes.set(xlabel="answer", ylabel="truth", xticks=range(len(names)), yticks=range(len(names)))
    axes.set_xticklabels(names, rotation=0 if max(map(len, names)) < 3 else 60)
    axes.set_yticklabels(names)
    axes.grid(False)
    return counts
