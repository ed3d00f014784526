"""Turns texts, pairs of texts and images into what an encoder takes."""
