"""Inspection of networks: explanations and gradient checks."""
