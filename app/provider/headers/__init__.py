"""Reads what model files say of themselves, without a library that runs models."""
