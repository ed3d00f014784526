"""The thinking before an answer: where it begins, and where it has to end.

It ends by itself, with its budget, when it repeats itself, or when the answer would have no room
left. In the last three cases the closing marker is forced.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass

from app.provider.generation.constraints.loops import repeats

LOOKS_EVERY = 16
"""Tokens between two looks for a loop."""


SHORTEST_WITH_ROOM = 64
"""Tokens. In shorter answers nothing is kept for what follows the thinking, unless it is bound."""


def answer_room(limit: int) -> int:
    """Tokens that thinking must leave for the answer, out of ``limit`` for both.

    A quarter, but at most 1,024, and at least 256 where that is no more than half.
    """
    return min(1024, max(limit // 4, min(256, limit // 2)))


@dataclass(frozen=True, slots=True)
class ThinkingPlan:
    """How thinking may go in an answer.

    ``opened``: the prompt has opened it. Otherwise it may begin with the text ``opening``, which
    may be the single token ``opening_token``. ``closing`` ends it; ``forced`` are the tokens that
    are written where it must end, and ``between`` those between it and a bound answer. ``budget``
    is a number of tokens. ``bound``: a grammar holds for what follows.
    """

    opened: bool
    opening: bytes
    closing: bytes
    forced: tuple[int, ...]
    between: tuple[int, ...] = ()
    opening_token: int | None = None
    budget: int | None = None
    bound: bool = False


class ThinkingPhase:
    """Follows the thinking of one answer of at most ``limit`` tokens.

    ``state`` is before, inside or over, by what was written.
    ``text_of`` gives the bytes of a token, those of control tokens as well.
    """

    def __init__(self, plan: ThinkingPlan, limit: int, text_of: Callable[[int], bytes]) -> None:
        self.plan = plan
        self.state = "inside" if plan.opened else "before"
        self._text_of = text_of
        self._tokens = array("i")
        self._written = 0
        self._text = b""
        self._most = limit
        if plan.bound or limit >= SHORTEST_WITH_ROOM:
            self._most = limit - answer_room(limit) - len(plan.forced)

    def start(self) -> list[int]:
        """The tokens to force before anything is drawn."""
        return self._closed_if_due() if self.state == "inside" else []

    def accept(self, token: int) -> list[int]:
        """Follow a drawn token, unless it is over; returns the tokens that must follow it."""
        self._written += 1
        self._text += self._text_of(token)
        if self.state == "before":
            self._begin()
            return self._closed_if_due() if self.state == "inside" else []
        self._tokens.append(token)
        before, closing, after = self._text.partition(self.plan.closing)
        if closing:
            self.state, self._text = "over", after
            return []
        self._text = before[-len(self.plan.closing) :]
        return self._closed_if_due()

    @property
    def left(self) -> bytes:
        """When it is over, what the last token wrote of the answer."""
        return self._text.lstrip()

    def _begin(self) -> None:
        """Tell whether the answer begins with thinking."""
        text = self._text.lstrip()
        if text.startswith(self.plan.opening):
            self.state, self._text = "inside", text[len(self.plan.opening) :]
        elif not self.plan.opening.startswith(text):
            self.state = "over"

    def _closed_if_due(self) -> list[int]:
        count, budget = len(self._tokens), self.plan.budget
        due = (budget is not None and count >= budget) or self._written >= self._most
        if due or (count % LOOKS_EVERY == 0 and repeats(self._tokens)):
            self.state, self._text = "over", b""
            return list(self.plan.forced)
        return []
