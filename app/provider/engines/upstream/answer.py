"""The answer of a server, chunk by chunk or whole, as events.

A stranger's JSON is not trusted: what has another type than it should is left out, except where the
answer would be another one without it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

from app.provider.engines.upstream.json_fields import count_of, section_of, text_of
from app.provider.engines.upstream.refusals import unavailable
from app.provider.engines.upstream.token_logprobs import tokens_of
from app.provider.types import (
    Delta,
    End,
    Event,
    FinishReason,
    Progress,
    Prompt,
    Started,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
}


class AnswerReader:
    """Makes the events of one answer; ``started`` when one was the beginning of the answer."""

    def __init__(
        self, server: str, prompt: Prompt, context_length: int, *, cached_when_absent: bool
    ) -> None:
        self._server = server
        self._prompt = prompt
        self._context_length = context_length
        self._cached_when_absent = cached_when_absent
        self._usage: dict[str, Any] = {}
        self.started = False
        self._pieces = 0
        self._calls: list[str] = []
        self._reason = ""
        self._stop_string = ""

    def chunk(self, value: Any) -> Iterator[Event]:
        """The events of a chunk of a stream; raises ProviderError."""
        self._note_usage(value.get("usage") if isinstance(value, dict) else None)
        progress = value.get("prompt_progress") if isinstance(value, dict) else None
        if isinstance(progress, dict):
            yield from self._progress(progress)
            return
        choice = _first_choice(value)
        if choice is None:
            return
        yield from self._start()
        message = choice.get("delta")
        yield from self._content(choice, message if isinstance(message, dict) else choice)

    def whole(self, value: Any) -> Iterator[Event]:
        """The events of an answer that came at once; raises ProviderError."""
        choice = _first_choice(value)
        if choice is None:
            raise unavailable(self._server, "gave an answer that is none")
        self._note_usage(value.get("usage"))
        yield from self._start()
        message = choice.get("message")
        yield from self._content(choice, message if isinstance(message, dict) else choice)

    def end(self) -> Iterator[Event]:
        """The end, once all has come; raises ProviderError for an answer that broke off."""
        if not self._reason:
            raise unavailable(self._server, "ended its answer without a reason")
        yield from self._start()
        reason = _REASONS.get(self._reason)
        if reason is None:
            raise unavailable(self._server, f"stopped the answer: {self._reason[:100]}")
        if self._calls and reason == "stop":
            reason = "tool_calls"
        yield End(reason, self._final_usage(), 0, self._stop_string)

    # ---------------------------------------------------------------- parts of a chunk

    def _start(self) -> Iterator[Event]:
        if not self.started:
            self.started = True
            tokens, cached = count_of(self._usage, "prompt_tokens"), _cached(self._usage)
            yield Started(tokens or 0, cached or 0, context_length=self._context_length)

    def _progress(self, progress: dict[str, Any]) -> Iterator[Event]:
        """How much of the prompt has been read, as llama.cpp's server says."""
        total, done = count_of(progress, "total"), count_of(progress, "processed")
        if total:
            self._usage.setdefault("prompt_tokens", total)
            yield Progress("prefill", min(done or 0, total), total)

    def _content(self, choice: dict[str, Any], message: dict[str, Any]) -> Iterator[Event]:
        tokens = tokens_of(choice.get("logprobs"))
        thinking = text_of(message, "reasoning_content") or text_of(message, "reasoning")
        text = text_of(message, "content") or text_of(message, "text")
        calls = list(self._call_pieces(message.get("tool_calls")))
        if thinking:
            self._pieces += 1
            if self._prompt.thinking:
                yield ThinkingDelta(thinking, () if text or calls else tokens)
            tokens = tokens if text or calls else ()
        if text or (tokens and not calls):
            self._pieces += 1
            yield Delta(text, 0, tokens)
            tokens = ()
        for piece in calls:
            self._pieces += 1
            yield ToolCallDelta(piece.index, piece.id, piece.name, piece.arguments, tokens)
            tokens = ()
        self._note_end(choice)

    def _call_pieces(self, sent: Any) -> Iterator[ToolCallDelta]:
        """The pieces of calls. A server may leave the index out, and repeat what it has named."""
        for call in sent if isinstance(sent, list) else ():
            if not isinstance(call, dict):
                continue
            function = section_of(call, "function")
            name, call_id = text_of(function, "name"), text_of(call, "id")
            index = self._call_index(call.get("index"), call_id, name)
            first = index == len(self._calls)
            if first:
                self._calls.append(call_id or f"call_{secrets.token_hex(12)}")
            arguments = function.get("arguments")
            yield ToolCallDelta(
                index,
                self._calls[index] if first else "",
                name if first else "",
                arguments if isinstance(arguments, str) else _json_text(arguments),
            )

    def _call_index(self, sent: Any, call_id: str, name: str) -> int:
        """The place of a call; the one after the last for a call that begins.

        Some servers give several whole calls the index 0, with ids of their own.
        """
        if name and call_id and call_id not in self._calls:
            return len(self._calls)
        if isinstance(sent, int) and 0 <= sent < len(self._calls):
            return sent
        if isinstance(sent, int):
            return len(self._calls)
        if call_id in self._calls:
            return self._calls.index(call_id)
        return len(self._calls) if name or not self._calls else len(self._calls) - 1

    def _note_end(self, choice: dict[str, Any]) -> None:
        self._reason = text_of(choice, "finish_reason") or self._reason
        stop = text_of(choice, "stop_reason") or text_of(choice, "matched_stop")
        if stop in self._prompt.sampling.stop:
            self._stop_string = stop

    # ---------------------------------------------------------------- usage

    def _note_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage = {**self._usage, **usage}

    def _final_usage(self) -> Usage:
        """The usage; without one, at least as many tokens as pieces of text have come."""
        cached = _cached(self._usage)
        if cached is None and self._cached_when_absent and "prompt_tokens" in self._usage:
            cached = 0
        written = count_of(self._usage, "completion_tokens")
        return Usage(
            count_of(self._usage, "prompt_tokens") or 0,
            self._pieces if written is None else written,
            cached or 0,
            cached is not None,
        )


def _first_choice(value: Any) -> dict[str, Any] | None:
    choices = value.get("choices") if isinstance(value, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _json_text(value: Any) -> str:
    """Arguments that came as an object in place of its text."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else ""


def _cached(usage: dict[str, Any]) -> int | None:
    """Tokens of the prompt that were not computed again; None: the server does not say."""
    return count_of(usage.get("prompt_tokens_details"), "cached_tokens")
