"""Draws pictures, asks about them and trains the vision starter models on the answers."""
