"""The matcher of an answer: which tokens may follow what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[Any]
"""``[vocabulary]``, or a little wider."""
Forbidden = npt.NDArray[np.bool_]
"""``[vocabulary]``: True for the tokens that must not come."""


class Matcher(Protocol):
    """Follows an answer token by token. Belongs to one answer and one thread."""

    @property
    def error(self) -> str:
        """Why nothing can be matched any more; empty while all is well."""

    @property
    def finished(self) -> bool:
        """Whether the answer is complete and nothing may follow but its end."""

    @property
    def end(self) -> int:
        """A token that ends answers."""

    @property
    def ends(self) -> Forbidden:
        """All tokens that end answers."""

    def forbidden(self) -> Forbidden:
        """The tokens that must not come next; the caller may change it."""

    def accept(self, token: int) -> None:
        """Go on after a token of the answer, which the mask has allowed."""

    def accept_text(self, text: bytes) -> None:
        """Go on after a text, in which control tokens are spelled out."""

    def forced(self) -> list[int]:
        """The tokens that must come next, as the model's tokenizer spells them."""

    def copy(self) -> Matcher:
        """The same matcher for another answer."""


@dataclass(frozen=True, slots=True)
class MatcherVocabulary:
    """What matchers know of a vocabulary of ``size`` tokens; ``spell`` gives tokens of a text."""

    size: int
    end: int
    ends: Forbidden
    spell: Callable[[bytes], list[int]]


class LlguidanceMatcher:
    """Implements ``Matcher`` with a matcher of llguidance."""

    def __init__(self, matcher: Any, vocabulary: MatcherVocabulary) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._bits = np.zeros(-(-vocabulary.size // 32), np.int32)
        self.end = vocabulary.end
        self.ends = vocabulary.ends

    @property
    def error(self) -> str:
        """The library's reason; it may spread over lines."""
        return str(self._matcher.get_error()) if self._matcher.is_error() else ""

    @property
    def finished(self) -> bool:
        """Whether only the end may follow."""
        return bool(self._matcher.is_stopped())

    def forbidden(self) -> Forbidden:
        """Compute the mask; it takes some 50 microseconds."""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        np.invert(self._bits, out=self._bits)
        size, octets = self._vocabulary.size, self._bits.view(np.uint8)
        return np.unpackbits(octets, count=size, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> None:
        """Consume a token; one that does not match is an error."""
        self._matcher.consume_token(token)

    def accept_text(self, text: bytes) -> None:
        """Consume the tokens of a text."""
        self._matcher.consume_tokens(self._vocabulary.spell(text))

    def forced(self) -> list[int]:
        """The run of forced tokens, without consuming it."""
        return list(self._matcher.compute_ff_tokens())

    def copy(self) -> LlguidanceMatcher:
        """A copy shares what was computed of the grammar."""
        return LlguidanceMatcher(self._matcher.deep_copy(), self._vocabulary)
