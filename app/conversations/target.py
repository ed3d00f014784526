"""Which model answers a turn, what it reads, and where the answer is stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from app.chat.request import AnswerOptions
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.types import Sampling
from app.storage.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationTarget:
    """A turn's model and limits, and the ids of its rows.

    The ids are made before the rows, so that a stream can begin with them. ``question`` is the
    message as the model reads it, after the template was applied. ``changed_defaults`` are to be
    stored over the conversation's defaults. ``answer_tokens`` limits the answer, ``max_messages``
    the messages before the question, ``max_images`` the images of a prompt (0: the model takes
    none).
    """

    owner: str
    pool: ModelPool
    model: ModelCard
    system: str | None
    question: str
    sampling: Sampling
    template: str | None
    changed_defaults: dict[str, Any]
    answer_tokens: int
    max_messages: int
    max_images: int
    conversation_id: str
    options: AnswerOptions = field(default_factory=AnswerOptions)
    question_id: str = field(default_factory=new_id)
    answer_id: str = field(default_factory=new_id)

    @property
    def affinity(self) -> str:
        """The conversation's ``Prompt.affinity``: it tells nobody its owner or its id."""
        known = f"{self.owner}\0{self.conversation_id}".encode()
        return hashlib.blake2b(known, digest_size=16).hexdigest()
