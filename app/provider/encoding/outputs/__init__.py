"""Turns what an encoder computed into vectors and scores."""
