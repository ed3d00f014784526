"""Reads the headers of model files, without a library that runs models."""
