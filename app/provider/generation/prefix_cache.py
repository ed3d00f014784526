"""Computed prefixes of conversations, in RAM; the least recently used are dropped first.

An engine puts a compact copy of its keys and values here when a request ends, and copies it back
when the same owner sends a prompt with the same beginning. Only the engine knows what a state is.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from app.provider.generation.prepared_prompt import PreparedPrompt

SHORTEST = 64
"""Tokens; computing fewer again is as cheap as copying them."""

MIN_SHARED_PREFIX = 64
"""Tokens. A prompt waits for another prefill that computes so much of its own prefix."""

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class PrefixEntry(Generic[State]):
    """The state after ``tokens`` of a conversation of ``owner``; it takes ``size`` bytes."""

    owner: str
    tokens: array[int]
    state: State
    size: int


class PrefixStore(Generic[State]):
    """Keeps states of at most ``capacity`` bytes together. Owners never share.

    ``whole_only``: a state can only be continued at its end, not cut back to a shorter prefix.
    """

    def __init__(self, capacity: int, *, whole_only: bool = False) -> None:
        self._capacity = capacity
        self._whole_only = whole_only
        self._kept: OrderedDict[int, PrefixEntry[State]] = OrderedDict()
        self._size = 0
        self._next = 0

    @property
    def size(self) -> int:
        """Bytes of all states kept."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self, owner: str, wanted: array[int], more_than: int = 0
    ) -> tuple[PrefixEntry[State] | None, int]:
        """Find the state with the longest common prefix with ``wanted``, and its length in tokens.

        None and ``more_than`` when no prefix is longer than that. The state counts as used; a few
        tokens that all prompts begin with must not make an old one look used.
        """
        best, shared = None, max(more_than, SHORTEST - 1)
        for number, kept in self._kept.items():
            length = self._usable(kept, owner, wanted, shared)
            if length > shared:
                best, shared = number, length
        if best is None:
            return None, more_than
        self._kept.move_to_end(best)
        return self._kept[best], shared

    def keep(self, owner: str, tokens: array[int], size: int, copy: Callable[[], State]) -> None:
        """Keep the state after ``tokens``, which ``copy`` makes and which takes ``size`` bytes.

        Nothing is copied when it is too short, too large or known already. It replaces the
        states that it continues.
        """
        if len(tokens) < SHORTEST or size > self._capacity:
            return
        for number, kept in list(self._kept.items()):
            if kept.owner != owner or kept.tokens[0] != tokens[0]:
                continue
            shared = common_prefix(kept.tokens, tokens)
            if shared == len(tokens) and not (self._whole_only and shared < len(kept.tokens)):
                self._kept.move_to_end(number)
                return
            if shared == len(kept.tokens) and not self._whole_only:
                self._forget(number)
        while self._size + size > self._capacity:
            self._forget(next(iter(self._kept)))
        self._kept[self._next] = PrefixEntry(owner, tokens, copy(), size)
        self._next += 1
        self._size += size

    def _usable(
        self, kept: PrefixEntry[State], owner: str, wanted: array[int], more_than: int
    ) -> int:
        """Length of the prefix to be had from ``kept``; 0 unless ``more_than`` that."""
        tokens = kept.tokens
        # Comparing one token is enough to rule out most of the thousands of states.
        if kept.owner != owner or min(len(tokens), len(wanted)) <= more_than:
            return 0
        if tokens[more_than] != wanted[more_than]:
            return 0
        length = common_prefix(tokens, wanted)
        return 0 if self._whole_only and length < len(tokens) else length

    def _forget(self, number: int) -> None:
        self._size -= self._kept.pop(number).size


class ComputedSequence(Protocol):
    """A sequence of an engine: ``tokens`` are computed, for one owner."""

    tokens: array[int]

    @property
    def owner(self) -> str:
        """Whose prompt it is."""


C = TypeVar("C", bound=ComputedSequence)


def best_prefix(
    owner: str, wanted: array[int], sequences: Iterable[C], more_than: int = SHORTEST - 1
) -> tuple[C | None, int]:
    """Find the owner's sequence that has computed the longest prefix of ``wanted``, and its length.

    None and 0 when no prefix is longer than ``more_than`` tokens.
    """
    best, longest = None, more_than
    for sequence in sequences:
        if sequence.owner == owner:
            length = common_prefix(sequence.tokens, wanted)
            if length > longest:
                best, longest = sequence, length
    return best, longest if best is not None else 0


def shares_running_prefill(
    prompt: PreparedPrompt, prompts: Iterable[tuple[PreparedPrompt, int]]
) -> bool:
    """Whether a prefill in progress computes a prefix that this prompt can share soon.

    ``prompts`` are those in prefill, each with its number of computed tokens. Owners never share.
    """
    for other, computed in prompts:
        if other.owner != prompt.owner:
            continue
        if common_prefix(other.tokens, prompt.tokens) - computed >= MIN_SHARED_PREFIX:
            return True
    return False


def common_prefix(one: array[int], other: array[int]) -> int:
    """Length of the longest common prefix, in tokens."""
    length = min(len(one), len(other))
    if length == 0:
        return 0
    different = np.frombuffer(one, np.int32, length) != np.frombuffer(other, np.int32, length)
    first = int(different.argmax())
    return first if different[first] else length
