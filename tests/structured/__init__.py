"""Answers to random JSON schemas and random tools: ``python -m tests.structured --help``."""
