"""ONNX files: read and written without any other package."""
