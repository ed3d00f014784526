"""Why several processes could not serve together."""

from __future__ import annotations


class ServingFailed(Exception):
    """A worker or the model server could not start; ``str()`` says why."""
