"""What a network says about itself."""

from __future__ import annotations

from nnfast.core.table import Table, format_table
from nnfast.graph.compiled import Compiled
from nnfast.graph.summary import Summary, summary

__all__ = ["Described"]


class Described(Compiled):
    """A compiled network that describes its layers and the operations of the core."""

    def summary(self) -> str:
        """The layers with their output shapes and numbers of parameters, as text.

        Examples
        --------
        >>> import nnfast as nf
        >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], name="small")
        >>> print(net.summary())
        small (float32)
        Layer          Output shape  Parameters
        -------------  ------------  ----------
        input (Input)  (N, 4)                 0
        dense (Dense)  (N, 3)                15
        Parameters: 15 (60 bytes), trainable 15, frozen 0
        """
        found = self.summary_rows()
        table = format_table(found.columns, found.rows, right=[2])
        return f"{self.name} ({self.dtype})\n{table}\n{found.total}"

    def summary_rows(self) -> Summary:
        """What `summary` says, as columns and rows."""
        return summary(self.architecture, self.parameters, self.trainable, self.statistics)

    def describe(self) -> Table:
        """What the core runs for a prediction: operations, shapes, parameters, operations per row, memory locations.

        Returns
        -------
        Table
            Prints as text; `rows` are dicts. "algorithm" is that of a convolution, see
            `nnfast.kernels.conv2d_algorithms`, and None for other layers.
        """
        return Table(self.plan(1).describe())
