"""Weights and models of PyTorch."""
