"""Encoders in transformers: texts, pairs of texts, images, and images with texts."""
