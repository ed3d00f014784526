"""The base of all values."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, structs

Count = Annotated[int, Meta(ge=0)]


class Value(Struct, frozen=True, tag=True, array_like=True):
    """A plain value; on the wire an array that begins with the name of its class."""

    def as_dict(self) -> dict[str, Any]:
        """Its fields by name; values inside stay values."""
        return structs.asdict(self)
