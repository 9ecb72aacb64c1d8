"""Trainers, callbacks, checkpoints, and the history of training."""
