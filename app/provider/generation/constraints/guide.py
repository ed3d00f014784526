"""Guides one answer: which tokens may be drawn, and which need not be drawn at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.provider.generation.constraints.call_trigger import CallTrigger
from app.provider.generation.constraints.matcher import Forbidden, Logits, Matcher
from app.provider.generation.constraints.thinking_phase import ThinkingPhase

FORCED_AT_ONCE = 32
"""Forced tokens of an answer in one step."""

ENDED_EARLY = "The answer cannot be kept to its constraint any more: {}"


class LogitBias:
    """Adds to the logits of some tokens."""

    def __init__(self, bias: Sequence[tuple[int, float]]) -> None:
        self._tokens = np.array([token for token, _ in bias], np.intp)
        self._amounts = np.array([amount for _, amount in bias], np.float32)

    def add_to(self, logits: Logits) -> None:
        """Change the logits in place."""
        np.add.at(logits, self._tokens, self._amounts.astype(logits.dtype))


@dataclass(slots=True, kw_only=True)
class AnswerGuide:
    """Follows an answer. ``thinking`` comes first; then ``matcher`` binds the answer.

    Where there is a ``trigger``, the answer is free until a tool call begins. ``restrict`` is
    called before each draw and ``accept`` after it. At most ``at_once`` tokens are forced in one
    step. ``text_of`` gives the bytes of a token, those of control tokens as well. ``error`` says
    why the answer cannot go on.
    """

    text_of: Callable[[int], bytes]
    matcher: Matcher | None = None
    thinking: ThinkingPhase | None = None
    trigger: CallTrigger | None = None
    bias: LogitBias | None = None
    at_once: int = FORCED_AT_ONCE
    error: str = ""
    _queue: list[int] = field(default_factory=list, init=False)  # forced, and read by the matcher

    # ---------------------------------------------------------------- before a draw

    def restrict(self, logits: Logits) -> None:
        """Change the logits of the next token in place: the bias first, then the mask."""
        if self.bias is not None:
            self.bias.add_to(logits)
        if self._queue:
            logits[:] = -np.inf
            logits[self._queue[0]] = 0
        elif (forbidden := self._forbidden()) is not None:
            size = min(len(forbidden), len(logits))
            np.putmask(logits[:size], forbidden[:size], -np.inf)
            logits[size:] = -np.inf  # rows that no token belongs to

    def _forbidden(self) -> Forbidden | None:
        matcher, thinking = self.matcher, self.thinking
        if matcher is None:
            return None
        if thinking and thinking.state == "inside":
            return matcher.ends  # there has to be an answer
        forbidden = matcher.forbidden()
        self._note_error(matcher, nothing_left=bool(forbidden.all()))
        if self.error:
            return None  # the answer ends, whatever is drawn; samplers want something to draw
        if thinking and thinking.state == "before" and thinking.plan.opening_token is not None:
            forbidden[thinking.plan.opening_token] = False
        return forbidden

    # ---------------------------------------------------------------- after a draw

    def start(self) -> list[int]:
        """The tokens that an answer must begin with."""
        thinking = self.thinking
        if thinking and thinking.state == "inside":
            self._queue = thinking.start()
            if thinking.state == "over":
                self._queue += self._bound()
        elif not thinking or thinking.state == "over":
            self._queue = self._bound()
        return self._take()  # nothing where the model decides whether it thinks

    def accept(self, token: int) -> list[int]:
        """Go on after a drawn token; returns the tokens that must follow it."""
        if self.error:
            return []
        if self._queue:
            self._queue.pop(0)
        elif self.thinking and self.thinking.state != "over":
            self._queue = self._think(token, self.thinking)
        else:
            self._queue = self._answer(token)
        return self._take()

    def _take(self) -> list[int]:
        taken, self._queue = self._queue[: self.at_once], self._queue[self.at_once :]
        return taken

    def _think(self, token: int, thinking: ThinkingPhase) -> list[int]:
        """Follow a token of the thinking, or one that shows that there is none."""
        before = thinking.state == "before"
        if before and self.matcher and token != thinking.plan.opening_token:
            thinking.state = "over"
            return self._answer(token)
        forced = thinking.accept(token)
        if before and thinking.state != "inside":
            return forced or self._answer(token)
        if thinking.state != "over":
            return forced
        if not forced and thinking.left:
            return self._follow(thinking.left)
        between = thinking.plan.between if self.matcher and not forced else ()
        return [*forced, *between, *self._bound()]

    def _answer(self, token: int) -> list[int]:
        """Follow a token of the answer."""
        if self.matcher is not None:
            self.matcher.accept(token)
            return self._bound()
        return self._follow(self.text_of(token))

    def _follow(self, text: bytes) -> list[int]:
        """Follow a text of the answer."""
        if self.matcher is not None:
            self.matcher.accept_text(text)
        elif self.trigger is not None:
            self.matcher = self.trigger.accept(text)
        return self._bound()

    def _bound(self) -> list[int]:
        """What must follow by the matcher."""
        matcher = self.matcher
        if matcher is None:
            return []
        forced = matcher.forced()
        for token in forced:
            matcher.accept(token)
        self._note_error(matcher)
        if matcher.finished and not self.error:
            forced.append(matcher.end)
        return forced

    def _note_error(self, matcher: Matcher, *, nothing_left: bool = False) -> None:
        if error := matcher.error:
            self.error = ENDED_EARLY.format(error.splitlines()[0])
        elif nothing_left:
            self.error = ENDED_EARLY.format("no token of the vocabulary can follow.")
