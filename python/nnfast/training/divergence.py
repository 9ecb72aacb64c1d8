"""Steps whose loss, gradient or update is not finite: what the core says of them, and what else users need to know."""

from __future__ import annotations

__all__ = ["explain", "is_divergence"]

_REMEDIES = """To try:
- a smaller learning rate, or a warm-up (schedules.Warmup)
- inputs and targets of sizes near 1 (layers.Rescaling or layers.Normalization for inputs)
- gradient clipping, as in optimizers.Adam(global_clipnorm=1.0)
- a loss with from_logits=True in place of a softmax or sigmoid layer before it
training.find_learning_rate(trainer, x, y) shows which rates work."""


def is_divergence(error: RuntimeError) -> bool:
    """Whether the core stopped because something is not finite."""
    return "got NaN or infinity" in str(error)


def explain(error: RuntimeError, step: int, learning_rate: float) -> None:
    """Note the step and what to try below the core's message, which names the layer or parameter and the batch."""
    if is_divergence(error):
        error.add_note(f"In step {step} of the trainer, with a learning rate of {learning_rate:.6g}. {_REMEDIES}")
