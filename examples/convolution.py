"""A convolutional layer, pooling and flattening, number by number (row S24).

A filter scans the image; where the image matches the filter's pattern, the score is high. The scores are a feature map.
Pooling keeps the highest score of each 2 x 2 square, so the map shrinks and a pattern may be slightly shifted.
Flattening writes the rows of the table one after the other: a vector, the input of dense layers.
"""

from pathlib import Path

import numpy as np
from drawing import new_figure, output_folder, save

import nnfast as nf
from nnfast import layers

IMAGE = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
)
FILTER = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 1]])
TABLE = np.array([[1, 1, 0], [4, 2, 1], [0, 2, 1]])
"""The table flattened on the slide. Its upper row belongs to another image; the others are those of the pooled map."""


def network() -> nf.Network:
    """The three steps, with a filter set by hand."""
    return nf.Network(
        [
            layers.Input((7, 7, 1)),
            layers.Conv2D(1, 3, use_bias=False, kernel_initializer=FILTER[:, :, None, None], name="map"),
            layers.MaxPool2D(2, padding="same", name="pooled"),
            layers.Flatten(name="vector"),
        ]
    )


def steps() -> dict[str, np.ndarray]:
    """The result of each step: the map (5, 5), the pooled map (3, 3), the vector (9,)."""
    found = network().trace(IMAGE[None, :, :, None].astype("float32"))
    return {name: found[name].squeeze() for name in ("map", "pooled", "vector")}


def flatten(table: np.ndarray) -> np.ndarray:
    """The rows of a table, one after the other."""
    net = nf.Network([layers.Input(table.shape), layers.Flatten()])
    return net.predict(table[None].astype("float32"))[0]


def picture(folder: Path) -> Path:
    found = steps()
    tables = {"image": IMAGE, "filter": FILTER, "feature map": found["map"], "pooled": found["pooled"]}
    tables["vector"] = found["vector"][:, None]
    figure, panels = new_figure(12, 3.2, 1, len(tables), width_ratios=[7, 3, 5, 3, 1.5])
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        axes.imshow(table, cmap="Blues", vmin=0, vmax=6)
        for (row, column), value in np.ndenumerate(table):
            axes.text(column, row, f"{value:g}", ha="center", va="center")
        axes.set_title(title)
        axes.axis("off")
    return save(figure, folder, "convolution.png")


def main(folder: Path) -> None:
    for name, values in steps().items():
        print(f"{name} {values.shape}:\n{values.astype(int)}")
    print(f"The slide's table, flattened: {flatten(TABLE).astype(int)}")
    picture(folder)


if __name__ == "__main__":
    main(output_folder())
