"""Tokens and the reason of an end, in Anthropic's words."""

from __future__ import annotations

from typing import Any

from app.provider.types import End, Started


def usage(prompt_tokens: int, cached_tokens: int, output_tokens: int) -> dict[str, Any]:
    """What was read anew, what came from the cache, and what was written."""
    return {
        "input_tokens": prompt_tokens - cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached_tokens,
        "output_tokens": output_tokens,
    }


def end_usage(end: End) -> dict[str, Any]:
    """The usage of a whole answer."""
    found = end.usage
    return usage(found.prompt_tokens, found.cached_tokens, found.completion_tokens)


def stop_fields(end: End, started: Started | None) -> dict[str, Any]:
    """``stop_reason`` and ``stop_sequence``."""
    reason = _reason(end, started)
    stop = end.stop_string if reason == "stop_sequence" else None
    return {"stop_reason": reason, "stop_sequence": stop}


def _reason(end: End, started: Started | None) -> str:
    match end.reason:
        case "tool_calls":
            return "tool_use"
        case "length":
            full = end.usage.prompt_tokens + end.usage.completion_tokens
            context = started.context_length if started else 0
            return "model_context_window_exceeded" if 0 < context <= full else "max_tokens"
        case _:
            return "stop_sequence" if end.stop_string else "end_turn"
