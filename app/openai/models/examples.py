"""Bodies that work as they are."""

from __future__ import annotations

from typing import Any

_HELLO = [{"role": "user", "content": "Hello! What are you?"}]

_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 40}},
            "required": ["city"],
        },
    },
}

CHAT: dict[str, Any] = {
    "question": {"summary": "A question", "value": {"messages": _HELLO}},
    "korean": {
        "summary": "In Korean, and the same answer every time",
        "value": {
            "messages": [{"role": "user", "content": "안녕하세요! 누구세요?"}],
            "temperature": 0,
        },
    },
    "conversation": {
        "summary": "With earlier turns, a system text and a limit",
        "value": {
            "messages": [
                {"role": "system", "content": "You are a helpful guide to this server."},
                *_HELLO,
                {"role": "assistant", "content": "I am the starter model of this server."},
                {"role": "user", "content": "How do I stream answers?"},
            ],
            "max_completion_tokens": 64,
            "seed": 7,
            "stop": ["\n\n"],
        },
    },
    "stream": {
        "summary": "As it is made, with the usage at the end",
        "value": {
            "messages": _HELLO,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
    "several": {
        "summary": "Three answers, with the likeliest tokens",
        "value": {
            "messages": _HELLO,
            "n": 3,
            "max_tokens": 16,
            "logprobs": True,
            "top_logprobs": 2,
        },
    },
    "json": {
        "summary": "JSON that matches a schema",
        "value": {
            "messages": [{"role": "user", "content": "What are you?"}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "about",
                    "strict": True,
                    "schema": {
                        "type": "object",
                        "properties": {
                            "what": {"type": "string", "maxLength": 60},
                            "tiny": {"type": "boolean"},
                        },
                        "required": ["what", "tiny"],
                        "additionalProperties": False,
                    },
                },
            },
        },
    },
    "tools": {
        "summary": "With a tool that must be called",
        "value": {
            "messages": [{"role": "user", "content": "What is the weather in Seoul?"}],
            "tools": [_WEATHER],
            "tool_choice": "required",
        },
    },
}
