"""Makes items of texts, of tokens and of pairs of texts, for encoders in GGUF files."""

from __future__ import annotations

from app.provider.encoding.folders.reranker import QWEN
from app.provider.encoding.inputs.rerank_input import RerankInput
from app.provider.encoding.inputs.truncation import longest_first
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engines.gguf.encoder.tokens import EncoderTokenizer
from app.provider.errors import InputTooLong, UnsupportedInput
from app.provider.types import PairPart, TextPart, TokensPart


class TextInput:
    """Takes texts and tokens. An item has at most ``limit`` tokens, special ones included."""

    def __init__(self, tokenizer: EncoderTokenizer, limit: int) -> None:
        self._tokenizer = tokenizer
        self._limit = limit

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a text; see ``EncoderRunner.prepare``."""
        match part:
            case TextPart(text):
                return self._of_text(prompt + text, index, truncate)
            case TokensPart(tokens):
                return self._of_tokens(tokens, index, prompt, truncate)
        raise UnsupportedInput("This model takes texts.")

    def _of_text(self, text: str, index: int, truncate: bool) -> EncoderItem:
        before, after = self._tokenizer.before, self._tokenizer.after
        tokens = self._tokenizer.text(text)
        room = self._limit - len(before) - len(after)
        _check(index, len(tokens), room, self._limit, truncate=truncate)
        return _item((*before, *tokens[:room], *after), index, truncated=len(tokens) > room)

    def _of_tokens(
        self, tokens: tuple[int, ...], index: int, prompt: str, truncate: bool
    ) -> EncoderItem:
        """Tokens of the model get no special tokens around them."""
        size = self._tokenizer.size
        if any(not 0 <= token < size for token in tokens):
            raise UnsupportedInput(
                f"The input at index {index} has a token that the model does not have: it has "
                f"{size} tokens."
            )
        ids = (*self._tokenizer.text(prompt), *tokens) if prompt else tokens
        _check(index, len(ids), self._limit, self._limit, truncate=truncate)
        return _item(ids[: self._limit], index, truncated=len(ids) > self._limit)


class PairInput:
    """Takes pairs for a cross-encoder, which reads both texts at once."""

    def __init__(self, tokenizer: EncoderTokenizer, limit: int) -> None:
        self._tokenizer = tokenizer
        self._limit = limit

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a pair; of a long one the end of the longer text is cut off."""
        if not isinstance(part, PairPart):
            raise UnsupportedInput(_PAIRS)
        tokenizer = self._tokenizer
        query, document = tokenizer.text(prompt + part.query), tokenizer.text(part.document)
        special = len(tokenizer.before) + len(tokenizer.between) + len(tokenizer.after)
        needed, room = len(query) + len(document), max(0, self._limit - special)
        _check(index, needed, room, self._limit, truncate=truncate)
        first, second = longest_first(len(query), len(document), room)
        tokens = (
            *(*tokenizer.before, *query[:first]),
            *(*tokenizer.between, *document[:second], *tokenizer.after),
        )
        return _item(tokens, index, truncated=needed > room)


class QuestionInput:
    """Takes pairs for a reranker that is a language model: they become a question to it.

    A document cannot spell the special tokens that end the question.
    """

    def __init__(self, tokenizer: EncoderTokenizer, limit: int) -> None:
        self._input = RerankInput(
            QWEN, lambda text: tokenizer.text(text, special=False), limit, special=tokenizer.text
        )

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a pair; of a long one the end of the document is cut off."""
        if not isinstance(part, PairPart):
            raise UnsupportedInput(_PAIRS)
        return self._input.prepare(
            part.query, part.document, index=index, instruction=prompt, truncate=truncate
        )


_PAIRS = "This model takes pairs of a query and a document."


def _check(index: int, needed: int, room: int, limit: int, *, truncate: bool) -> None:
    """Refuse an item that is too long; ``room`` is what special tokens leave of ``limit``."""
    if needed > room and not truncate:
        raise InputTooLong(index, needed + limit - room, limit)


def _item(tokens: tuple[int, ...], index: int, *, truncated: bool) -> EncoderItem:
    if not tokens:
        raise UnsupportedInput(f"The input at index {index} has no tokens.")
    return EncoderItem(tokens=tokens, truncated=truncated, cost=len(tokens))
