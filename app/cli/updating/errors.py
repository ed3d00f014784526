"""Why an update does not begin, or fails."""

from __future__ import annotations


class CannotUpdate(Exception):
    """The update does not begin, and nothing has changed; ``str()`` is one sentence."""


class StepFailed(Exception):
    """A step of the update has failed; ``str()`` is one sentence."""
