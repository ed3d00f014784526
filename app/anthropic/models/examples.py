"""Bodies that work as they are."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, Any] = {
    "question": {
        "summary": "A question",
        "value": {
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Hello! What are you?"}],
        },
    },
    "conversation": {
        "summary": "With a system prompt, earlier turns and a text that ends the answer",
        "value": {
            "model": "starter",
            "max_tokens": 128,
            "system": "You are a helpful guide to this server.",
            "messages": [
                {"role": "user", "content": "안녕하세요!"},
                {"role": "assistant", "content": "안녕하세요! 무엇을 도와드릴까요?"},
                {"role": "user", "content": [{"type": "text", "text": "How do I stream?"}]},
            ],
            "temperature": 0,
            "stop_sequences": ["\n\n"],
        },
    },
    "stream": {
        "summary": "As server-sent events",
        "value": {
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Where are the docs?"}],
            "stream": True,
        },
    },
}

COUNT_EXAMPLES: dict[str, Any] = {
    "question": {
        "summary": "A question",
        "value": {"messages": [{"role": "user", "content": "Hello! What are you?"}]},
    },
}
