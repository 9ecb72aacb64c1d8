"""Code shared by the pictures of the examples: colors, figures and output files."""

import argparse
from pathlib import Path
from typing import Any

from matplotlib import rcParams
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
