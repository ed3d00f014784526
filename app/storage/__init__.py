"""Keeping data: the database and its files."""
