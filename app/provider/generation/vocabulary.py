"""What chat prompts need of a tokeniser, whatever library brings it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Vocabulary(Protocol):
    """The tokeniser of a model and what its files say of conversations."""

    @property
    def chat_templates(self) -> Mapping[str, str]:
        """Jinja sources by name, as far as the model brings any."""

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """What templates call a token (``bos_token`` …) → its spelling."""

    @property
    def control_texts(self) -> Sequence[str]:
        """How the control tokens are spelled."""

    @property
    def added_texts(self) -> Sequence[str]:
        """How other tokens are spelled that are found in texts before these are cut up."""

    @property
    def prefix(self) -> Sequence[int]:
        """Tokens that begin every prompt."""

    def tokenize(self, text: str) -> list[int]:
        """Text → token ids, none before or after; special tokens in ``text`` are recognised."""

    def normalized(self, text: str) -> str:
        """Text as it is searched for special tokens."""

    def spelling(self, token: int) -> str:
        """How a token is written in a prompt."""

    def piece(self, token: int) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""

    def end_with(self, text: str) -> None:
        """Let the token that is spelled so end answers as well."""
