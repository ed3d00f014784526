"""Texts and pictures as vectors: which model, in jobs of a bounded size, compared and ranked."""
