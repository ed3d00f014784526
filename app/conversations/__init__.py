"""Stored conversations: asking in them, and keeping them."""
