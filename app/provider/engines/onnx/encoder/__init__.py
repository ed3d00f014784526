"""Encoders on onnxruntime: texts, pairs of texts and images become vectors or scores."""
