"""Turns of a chat without storage: what a request asks for, and its answer."""
