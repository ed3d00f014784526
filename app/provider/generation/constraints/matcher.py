"""The matcher of an answer: which tokens may follow what was written."""

from __future__ import annotations

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

    def forbidden(self) -> Forbidden:
        """The tokens that must not come next; valid until the next call."""

    def accept(self, token: int) -> None:
        """Go on after a token of the answer, which the mask has allowed."""

    def forced(self) -> list[int]:
        """The tokens that must come next, as the model's tokenizer spells them."""

    def copy(self) -> Matcher:
        """The same matcher for another answer."""


class LlguidanceMatcher:
    """Implements ``Matcher`` with llguidance, over ``size`` tokens."""

    def __init__(self, matcher: Any, size: int, end: int) -> None:
        self._matcher = matcher
        self.end = end
        self._bits = np.zeros(-(-size // 32), np.int32)
        self._size = size

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
        return np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little").view(
            np.bool_
        )

    def accept(self, token: int) -> None:
        """Consume a token; one that does not match is an error."""
        self._matcher.consume_token(token)

    def forced(self) -> list[int]:
        """The run of forced tokens, without consuming it."""
        return list(self._matcher.compute_ff_tokens())

    def copy(self) -> LlguidanceMatcher:
        """A copy shares what was computed of the grammar."""
        return LlguidanceMatcher(self._matcher.deep_copy(), self._size, self.end)
