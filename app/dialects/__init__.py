"""Dialects with paths of their own, such as ``/v1``: which there are, loaded after the start."""
