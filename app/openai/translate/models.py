"""Model cards as ``/v1/models`` shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.chat.capabilities import Capabilities, capabilities
from app.chat.model_choice import templated_name
from app.provider.card import Kind, ModelCard

OWNER = "local"

TYPES: dict[Kind, str] = {"vision-chat": "chat", "rerank": "reranker"}
"""Kinds that the Local LLM Interface calls otherwise."""

Fields = dict[str, Any]


def model_list(cards: Sequence[ModelCard], templates: Sequence[str]) -> Fields:
    """Every model that can be loaded, then each that chats with each prompt template."""
    usable = [(card, model(card)) for card in cards if not card.problem]
    _tell_apart([fields for _, fields in usable])
    templated = [
        with_template(fields, template)
        for card, fields in usable
        if "chat" in card.tasks
        for template in templates
    ]
    return {"object": "list", "data": [*(fields for _, fields in usable), *templated]}


def _tell_apart(models: Sequence[Fields]) -> None:
    """Add the id to a name that several models have: clients show names, people choose by them."""
    times = Counter(fields["name"] for fields in models)
    for fields in models:
        if times[fields["name"]] > 1:
            fields["name"] = f"{fields['name']} ({fields['id']})"


def model(card: ModelCard) -> Fields:
    """One model. Reads when its files were changed, which may block for a moment."""
    found = capabilities(card)
    return {
        "id": card.id,
        "object": "model",
        "created": _created(card),
        "owned_by": OWNER,
        "name": card.name or card.id,
        "context_length": card.context_length,
        "max_model_len": card.context_length,
        "tasks": list(card.tasks),
        "type": TYPES.get(card.kind, card.kind),
        "engine": card.engine,
        "size_gb": round(card.size_bytes / 10**9, 3),
        "capabilities": {
            "vision": found.vision,
            "tools": found.tools,
            "thinking": found.thinking,
            "structured_outputs": found.structured_outputs,
        },
        "chat_template": _template(card, found) if "chat" in card.tasks else None,
        "encoder": _encoder(card),
        "aliases": list(card.aliases),
        "prompt_template": None,
    }


def with_template(fields: Fields, template: str) -> Fields:
    """The same model under the name that puts a prompt template around the question."""
    name = templated_name(fields["name"], template)
    return {
        **fields,
        "id": templated_name(fields["id"], template),
        "name": name,
        "aliases": [],
        "prompt_template": template,
    }


def _template(card: ModelCard, found: Capabilities) -> Fields:
    return {
        "source": "model" if card.chat_template else "server",
        "tools": "native" if found.native_tools else "described",
        "output_format": found.output_format or None,
    }


def _encoder(card: ModelCard) -> Fields | None:
    if (known := card.encoder) is None:
        return None
    return {
        "dimensions": known.dimensions,
        "max_tokens": card.context_length,
        "pooling": known.pooling,
        "prompts": dict(known.prompts),
        "default_prompt": known.default_prompt or None,
    }


def _created(card: ModelCard) -> int:
    try:
        return int(card.path.stat().st_mtime)
    except OSError:
        return 0
