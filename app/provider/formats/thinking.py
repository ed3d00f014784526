"""How models mark their thinking, before the answer that is meant for the reader."""

from __future__ import annotations

from typing import NamedTuple


class Markers(NamedTuple):
    """What stands before and after thinking."""

    open: str
    close: str


MARKERS = (Markers("<think>", "</think>"), Markers("[THINK]", "[/THINK]"))
"""Qwen3, DeepSeek-R1, SmolLM3, GLM-4.5, EXAONE 4 and others; Mistral's Magistral."""

MARKER_TEXTS = frozenset(text for markers in MARKERS for text in markers)
"""All of them: tokens that are spelled so must reach the filter, control tokens as well."""


def opened_by(text: str) -> Markers | None:
    """The thinking that this end of a prompt opens and does not close."""
    last = max(MARKERS, key=lambda markers: text.rfind(markers.open))
    return last if text.rfind(last.open) > text.rfind(last.close) else None
