"""ONNX models on onnxruntime, batched continuously."""
