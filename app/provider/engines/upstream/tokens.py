"""Counts and shows tokens by the routes that each kind of server has for it."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from app.provider.engines.upstream.chat_body import BodyWriter
from app.provider.engines.upstream.client import Client
from app.provider.engines.upstream.json_fields import (
    Fields,
    byte_values,
    count_of,
    is_count,
    section_of,
    text_of,
)
from app.provider.engines.upstream.refusals import unavailable
from app.provider.errors import UnsupportedInput
from app.provider.types import (
    Part,
    Prompt,
    RawText,
    TextPart,
    ThinkingPart,
    Tokens,
    ToolCallPart,
    ToolResultPart,
)

_BYTES_PER_TOKEN = 3
"""Of most languages and tokenizers a little less than this is true."""
_TOKENS_PER_MESSAGE = 8
_TOKENS_PER_IMAGE = 1_000
_TOKENS_PER_GAP = 3
"""That stand for its beginning, its end and the answer."""


class TokenCounter:
    """Counts for one model. ``kind`` is the feature ``tokenizer``."""

    def __init__(self, client: Client, writer: BodyWriter) -> None:
        self._client = client
        self._writer = writer
        self._kind = writer.features.tokenizer
        self._server = writer.remote.server

    @property
    def counts(self) -> bool:
        """Whether the server counts; otherwise it is an estimate."""
        return bool(self._kind)

    async def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt, or an estimate where the server does not count them."""
        if not self.counts:
            return estimated_tokens(prompt)
        if prompt.raw is not None:
            return await self._count_raw(prompt, prompt.raw)
        if any(message.images for message in prompt.messages):
            return await self._by_asking(prompt)
        if self._kind == "llama.cpp":
            shown = await self._client.post("/apply-template", self._chat(prompt))
            body = {"content": text_of(shown, "prompt"), "add_special": True, "parse_special": True}
            return len(self._list(await self._client.post("/tokenize", body), "tokens"))
        answer = await self._client.post(self._path("tokenize"), self._chat(prompt))
        return self._number(answer, "count")

    async def _count_raw(self, prompt: Prompt, raw: RawText) -> int:
        count = len((await self.tokenize(prompt, special=True)).tokens)
        if raw.suffix is None:
            return count
        after = structs.replace(prompt, raw=RawText(raw.suffix))
        return count + len((await self.tokenize(after, special=False)).tokens) + _TOKENS_PER_GAP

    async def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a text, or the text of tokens; raises UnsupportedInput."""
        raw = prompt.raw
        if not self.counts or raw is None:
            raise UnsupportedInput(f"The server {self._server} does not show the tokens of that.")
        if raw.tokens is not None:
            answer = await self._client.post(
                self._path("detokenize"), {"model": self._writer.model, "tokens": list(raw.tokens)}
            )
            text = text_of(answer, "prompt") or text_of(answer, "content")
            rest = [b""] * (len(raw.tokens) - 1)
            return Tokens(raw.tokens, (text.encode("utf-8", "replace"), *rest)[: len(raw.tokens)])
        if self._kind == "llama.cpp":
            body = {"content": raw.text, "add_special": special, "with_pieces": True}
            return self._with_pieces(await self._client.post("/tokenize", body))
        return await self._shown(raw.text, special=special)

    async def _shown(self, text: str, *, special: bool) -> Tokens:
        body: Fields = {
            "model": self._writer.model,
            "prompt": text,
            "add_special_tokens": special,
            "return_token_strs": True,
        }
        answer = await self._client.post(self._path("tokenize"), body)
        tokens = self._ids(self._list(answer, "tokens"))
        texts = self._list(answer, "token_strs")
        pieces = [str(one).encode("utf-8", "replace") for one in texts]
        return Tokens(tokens, tuple(pieces[: len(tokens)]))

    def _with_pieces(self, answer: Any) -> Tokens:
        """llama.cpp's tokens, whose pieces are texts, or bytes where they are no whole text."""
        found = [one for one in self._list(answer, "tokens") if isinstance(one, dict)]
        pieces = [_piece(one.get("piece", "")) for one in found]
        return Tokens(self._ids([one.get("id", 0) for one in found]), tuple(pieces))

    async def _by_asking(self, prompt: Prompt) -> int:
        """Tokens of a prompt with images: what an answer of one token is billed for."""
        body = {**self._writer.chat(prompt), "max_tokens": 1}
        answer = await self._client.post("/v1/chat/completions", body)
        return self._number(section_of(answer, "usage"), "prompt_tokens")

    def _chat(self, prompt: Prompt) -> Fields:
        """The fields of a chat that decide how its messages become tokens."""
        chat = self._writer.chat(prompt)
        names = ("model", "messages", "tools", "chat_template_kwargs")
        return {name: chat[name] for name in names if name in chat}

    def _path(self, route: str) -> str:
        return f"/v1/{route}" if self._kind == "sllm" else f"/{route}"

    def _number(self, answer: Any, name: str) -> int:
        if (value := count_of(answer, name)) is None:
            raise unavailable(self._server, "did not say how many tokens that is")
        return value

    def _ids(self, sent: list[Any]) -> tuple[int, ...]:
        if not all(map(is_count, sent)):
            raise unavailable(self._server, "did not say which tokens that is")
        return tuple(sent)

    def _list(self, answer: Any, name: str) -> list[Any]:
        value = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(value, list):
            raise unavailable(self._server, "did not say which tokens that is")
        return value


def _piece(sent: Any) -> bytes:
    known = byte_values(sent)
    return str(sent).encode("utf-8", "replace") if known is None else known


def most_tokens(prompt: Prompt) -> int:
    """More tokens than the prompt can have without images: one for each byte, and for roles."""
    return _bytes(prompt) + 64 * (len(prompt.messages) + 1)


def estimated_tokens(prompt: Prompt) -> int:
    """About as many tokens as the prompt has."""
    images = sum(len(message.images) for message in prompt.messages)
    roles = _TOKENS_PER_MESSAGE * len(prompt.messages)
    return _bytes(prompt) // _BYTES_PER_TOKEN + roles + _TOKENS_PER_IMAGE * images + 1


def _bytes(prompt: Prompt) -> int:
    raw = prompt.raw
    if raw is not None:
        return _length(raw.text) + _BYTES_PER_TOKEN * len(raw.tokens or ())
    tools = sum(_length(tool.parameters) + _length(tool.description) for tool in prompt.tools)
    return tools + sum(map(_part_bytes, _parts(prompt)))


def _parts(prompt: Prompt) -> list[Part]:
    return [part for message in prompt.messages for part in message.parts]


def _part_bytes(part: Part) -> int:
    """Bytes of the text of a part; an image counts otherwise."""
    match part:
        case TextPart(text=text) | ThinkingPart(text=text):
            return _length(text)
        case ToolCallPart(name=name, arguments=arguments):
            return _length(name) + _length(arguments)
        case ToolResultPart():
            return _length(part.text)
    return 0


def _length(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
