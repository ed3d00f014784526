"""The tokenizer that a chat template needs, whatever library implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from app.provider.generation.constraints.token_table import TokenTable


class ModelTokenizer(Protocol):
    """A model's tokenizer, with its special tokens and chat templates."""

    @property
    def chat_templates(self) -> Mapping[str, str]:
        """Jinja sources by name, as far as the model brings any."""

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Spellings of special tokens, by their names in templates (``bos_token`` …)."""

    @property
    def control_texts(self) -> Sequence[str]:
        """Spellings of the control tokens."""

    @property
    def added_texts(self) -> Sequence[str]:
        """Spellings of the other added tokens, which are found before a text is tokenised."""

    @property
    def size(self) -> int:
        """Ids of tokens are below it."""

    @property
    def prefix(self) -> Sequence[int]:
        """Tokens that begin every prompt."""

    def tokenize(self, text: str) -> list[int]:
        """Text → token ids, none before or after; special tokens in ``text`` are recognised."""

    def normalized(self, text: str) -> str:
        """Text as it is searched for special tokens."""

    def spelling(self, token: int) -> str:
        """The spelling of a token in a prompt."""

    def piece(self, token: int, *, keep_special: bool = False) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer.

        Of the control tokens only markers of thinking have bytes; with ``keep_special`` all have
        those of their spelling. It is called for every token of an answer.
        """

    def end_with(self, text: str, *, ends: bool = True) -> None:
        """Make the token with this spelling end answers as well, or end them no more."""

    def token_table(self) -> TokenTable:
        """The bytes of all tokens. It takes a while and is not kept."""
