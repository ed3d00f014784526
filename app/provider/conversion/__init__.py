"""Making MLX and ONNX folders of Hugging Face folders."""
