"""ONNX graphs become networks: `from_onnx`."""
