"""Kinds of fields that the bodies of the Messages API have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from app.web.schema import LONGEST_TEXT, Plain

Ignored = Annotated[Any, Field(description="Taken and ignored.")]
"""A field of Anthropic's clients that changes nothing in what the model is asked."""


def _refuse_value(value: object) -> None:
    if value not in (None, [], {}, ""):
        raise ValueError("this server does not support it; leave it out")


Unsupported = Annotated[
    None, BeforeValidator(_refuse_value), Field(description="Not supported: null, or left out.")
]
"""A field that would change what is asked, and that this server has nothing for."""

LongText = Annotated[Plain, Field(max_length=LONGEST_TEXT)]
"""A text that may be empty."""

Name = Annotated[Plain, Field(min_length=1, max_length=200)]


def as_blocks(content: object) -> object:
    """A string is one block of text."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
