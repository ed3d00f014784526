"""How a model is named to the owner of loaded models."""

from __future__ import annotations

from app.provider.types.value import Value


class ModelRef(Value, frozen=True):
    """A model by its id; ``stamp`` is the state of its files that the sender knows.

    It holds no path: its owner finds the files, and takes newer ones where they have changed.
    """

    id: str
    stamp: str
