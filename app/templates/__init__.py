"""Prompt templates: their language, the built-in ones, and those that users store."""
