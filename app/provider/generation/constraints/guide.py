"""Guides one answer: which tokens may be drawn, and which need not be drawn at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.provider.generation.constraints.matcher import Logits, Matcher

FORCED_AT_ONCE = 32
"""Forced tokens of an answer in one step: together with other answers they must fit a batch."""

ENDED_EARLY = "The answer cannot be kept to its constraint any more: {}"


class AnswerGuide:
    """Follows an answer that has a constraint, a bias of logits, or both.

    ``restrict`` is called before each draw and ``accept`` after it. ``error`` says why the answer
    cannot go on.
    """

    def __init__(
        self, matcher: Matcher | None = None, bias: Sequence[tuple[int, float]] = ()
    ) -> None:
        self._matcher = matcher
        self._biased = np.array([token for token, _ in bias], np.intp)
        self._bias = np.array([amount for _, amount in bias], np.float32)
        self.error = ""

    def restrict(self, logits: Logits) -> None:
        """Change the logits of the next token in place: the bias first, then the mask."""
        if len(self._biased):
            logits[self._biased] += self._bias
        if self._matcher is None:
            return
        forbidden = self._matcher.forbidden()
        self._note_error(nothing_left=bool(forbidden.all()))
        size = min(len(forbidden), len(logits))
        np.putmask(logits[:size], forbidden[:size], -np.inf)
        logits[size:] = -np.inf  # rows that no token belongs to

    def start(self) -> list[int]:
        """The tokens that an answer must begin with."""
        return self._forced()

    def accept(self, token: int) -> list[int]:
        """Go on after a drawn token; returns the tokens that must follow it."""
        if self._matcher is None or self.error:
            return []
        self._matcher.accept(token)
        return self._forced()

    def _forced(self) -> list[int]:
        if self._matcher is None:
            return []
        forced = self._matcher.forced()[:FORCED_AT_ONCE]
        for token in forced:
            self._matcher.accept(token)
        self._note_error()
        if self._matcher.finished and not self.error:
            forced.append(self._matcher.end)
        return forced

    def _note_error(self, *, nothing_left: bool = False) -> None:
        assert self._matcher is not None  # noqa: S101 - only called with one
        if error := self._matcher.error:
            self.error = ENDED_EARLY.format(error.splitlines()[0])
        elif nothing_left:
            self.error = ENDED_EARLY.format("no token of the vocabulary can follow.")
