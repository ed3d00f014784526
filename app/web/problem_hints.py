"""What clients of ``/api`` can do about an error: which address or field helps them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.conversations.errors import ConversationBusy, ConversationNotFound, ModelCannotSee
from app.downloads.errors import PullNotFound
from app.provider.errors import ModelNotFound
from app.templates.errors import (
    TemplateBuiltIn,
    TemplateExists,
    TemplateNotFound,
    TemplateVersionNotFound,
)

HINTS: dict[type[Exception], Callable[[Any], str]] = {
    ModelNotFound: lambda _: "; GET /api/v1/models lists the ones there are.",
    TemplateNotFound: lambda _: "; GET /prompt/templates lists the names.",
    TemplateVersionNotFound: lambda error: (
        f"; GET /prompt/templates/{error.name}/versions says what there is."
    ),
    TemplateExists: lambda error: f"; PUT /prompt/templates/{error.name} replaces it.",
    TemplateBuiltIn: lambda error: (
        f"; PUT /prompt/templates/{error.name} replaces it with one of your own."
    ),
    ConversationNotFound: lambda _: "; GET /api/v4/conversations lists yours.",
    ConversationBusy: lambda _: ': wait for it, stop it, or send "when_busy": "wait".',
    ModelCannotSee: lambda _: '. Name one as "model"; nothing was stored.',
    PullNotFound: lambda _: "; GET /api/v5/models/pull lists them.",
}
"""Error → what continues its sentence in place of the full stop."""


def with_hint(error: Exception) -> str:
    """The sentence of an error, and the hint that belongs to it, if there is one."""
    hint = HINTS.get(type(error))
    return str(error).removesuffix(".") + hint(error) if hint else str(error)
