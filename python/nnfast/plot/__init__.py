"""Pictures of training, of networks and of what they answer. They require Matplotlib, `pip install matplotlib`.

Each function draws into the given axes or into a new figure, and returns the axes, so that titles and labels may be
changed and the picture saved: ``axes.figure.savefig(path)``. All have this parameter:

axes : matplotlib.axes.Axes, optional
    Where to draw; a new figure of pyplot's by default, which ``matplotlib.pyplot.show()`` displays.

>>> from matplotlib.figure import Figure
>>> import nnfast as nf
>>> axes = nf.plot.confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2], axes=Figure().subplots())
>>> axes.get_title()
'3 of 4 right (75.0%)'
"""

from nnfast.core.options import module_names
from nnfast.plot.answers import confusion_matrix, decision_regions, precision_recall, roc
from nnfast.plot.diagram import network, unit_positions
from nnfast.plot.errors import error_over_weight, error_surface
from nnfast.plot.pixels import feature_maps, filters, hidden_units, images, saliency
from nnfast.plot.training import history, learning_rates

__all__ = [
    "confusion_matrix",
    "decision_regions",
    "error_over_weight",
    "error_surface",
    "feature_maps",
    "filters",
    "hidden_units",
    "history",
    "images",
    "learning_rates",
    "network",
    "precision_recall",
    "roc",
    "saliency",
    "unit_positions",
]

__getattr__, __dir__ = module_names(__name__, __all__)
