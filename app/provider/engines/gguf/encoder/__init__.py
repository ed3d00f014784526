"""Encoders in llama.cpp: models that make vectors of texts, or scores of pairs of texts."""
