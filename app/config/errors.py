"""What is wrong with settings."""

from __future__ import annotations


class InvalidSetting(Exception):
    """A setting has a value that it cannot have; ``str()`` says which."""
