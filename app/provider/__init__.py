"""Engines that turn a prompt into text. Knows nothing of HTTP, SQL, FastAPI or Settings."""
