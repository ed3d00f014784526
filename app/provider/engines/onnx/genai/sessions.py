"""Requests that stay open after an answer, so that the next turn reuses what is computed.

A kept request holds its pages of keys and values. The least recently used ones are closed when
others need the room. A request can be continued at its end or at the beginning of a turn.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import onnxruntime_genai as og

from app.provider.generation.prefix_cache import SHORTEST, common_prefix


@dataclass(slots=True, eq=False)
class Session:
    """A request of the library with all its ``tokens``.

    ``turns`` are pairs: the number of a turn, and the tokens before it. ``whole``: the last token
    is computed as well, which is so when the model ended the answer.
    """

    request: og.Request
    owner: str
    tokens: array[int] = field(default_factory=lambda: array("i"))
    turns: list[tuple[int, int]] = field(default_factory=list)
    whole: bool = False

    def shared(self, prompt: array[int]) -> int:
        """Tokens of the prompt after which the request can go on; never all of them."""
        common = common_prefix(self.tokens, prompt[:-1])
        if common == len(self.tokens):
            return common
        return max((start for _, start in self.turns if start <= common), default=0)

    def cut(self, length: int) -> int:
        """Go back to that many tokens, and return how many of them are computed."""
        if length == len(self.tokens):
            return length if self.whole else max(0, length - 1)
        turn = next(number for number, start in self.turns if start == length)
        self.request.rewind_to_start_of_turn(turn)
        self.tokens = self.tokens[:length]
        self.turns = [(number, start) for number, start in self.turns if start < length]
        self.whole = True
        return length

    def begin(self, turn: int, prompt: array[int]) -> None:
        """Record a turn with the whole prompt, whose answer follows."""
        self.turns.append((turn, len(self.tokens)))
        self.tokens = prompt[:]
        self.whole = False


class Sessions:
    """The kept sessions, least recently used first. ``page`` tokens are freed together."""

    def __init__(self, page: int) -> None:
        self._page = page
        self._kept: list[Session] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def cells(self) -> int:
        """Tokens that fit into all pages of the kept sessions."""
        return sum(self.whole_pages(len(one.tokens)) for one in self._kept)

    def whole_pages(self, tokens: int) -> int:
        """Tokens, rounded up to pages."""
        return -(-tokens // self._page) * self._page

    def keep(self, session: Session) -> None:
        """Keep a session for the next turn, if it is long enough to be worth it."""
        if len(session.tokens) < SHORTEST:
            session.request.close()
        else:
            self._kept.append(session)

    def take(self, owner: str, prompt: array[int]) -> tuple[Session, int] | None:
        """Take the owner's session with the longest common prefix, and its computed tokens."""
        own = [one for one in self._kept if one.owner == owner]
        best = max(own, key=lambda one: one.shared(prompt), default=None)
        if best is None or (length := best.shared(prompt)) < SHORTEST:
            return None
        self._kept.remove(best)
        try:
            return best, best.cut(length)
        except RuntimeError:  # some models cannot go back
            best.request.close()
            return None

    def evict(self) -> bool:
        """Close the least recently used session; False when there is none."""
        if self._kept:
            self._kept.pop(0).request.close()
            return True
        return False
