"""Where a branch is shown: to which model, under which system text, within which limits."""

from __future__ import annotations

from dataclasses import dataclass

from app.provider.pool.pool import ModelPool
from app.provider.types import Sampling


@dataclass(frozen=True, slots=True)
class Stage:
    """See the module.

    ``answer_tokens`` is the longest answer; ``longest`` the most messages before the question;
    ``images`` the most pictures of a prompt, 0 for a model that cannot see.
    """

    pool: ModelPool
    model: str
    owner: str
    system: str | None
    sampling: Sampling
    answer_tokens: int
    longest: int
    images: int = 0
