"""The text that a model wants before an input, by what the input is for."""

from __future__ import annotations

from app.encoding.errors import UnknownPrompt
from app.encoding.model_choice import facts
from app.provider.card import ModelCard

_QUERY = ("query", "search_query", "retrieval.query", "retrieval-query")
_DOCUMENT = (
    "document",
    "passage",
    "corpus",
    "search_document",
    "retrieval.passage",
    "retrieval-document",
)
_NONE = "none"
_CLUSTERING = ("clustering", "separation")

PURPOSES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_QUERY, _QUERY),
    **dict.fromkeys(_DOCUMENT, _DOCUMENT),
    **dict.fromkeys(_CLUSTERING, _CLUSTERING),
    "classification": ("classification",),
    "text-matching": ("text-matching", "sts"),
    "image": (),
}
"""A word of some API for what an input is for → the names that prompts for it have in models."""


def prompt_of(card: ModelCard, purpose: str | None) -> str:
    """The prompt for a purpose; None: what the model puts before everything, mostly nothing.

    Words of ``PURPOSES`` are taken by every model, also by one that has no prompts, and so is
    ``none``. Raises UnknownPrompt.
    """
    known = facts(card)
    prompts = {name.casefold(): text for name, text in known.prompts}
    if purpose is None:
        return prompts.get(known.default_prompt.casefold(), "")
    word = purpose.casefold()
    names = (word, *PURPOSES.get(word, ()))
    found = next((prompts[name] for name in names if name in prompts), None)
    if found is None and word not in PURPOSES and word != _NONE:
        raise UnknownPrompt(purpose, card.id, tuple(name for name, _ in known.prompts))
    return found or ""
