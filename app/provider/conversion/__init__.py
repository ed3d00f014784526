"""Converts Hugging Face folders into MLX and ONNX folders."""
