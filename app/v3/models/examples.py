"""Bodies for the documentation, which work as they are with the built-in templates."""

from __future__ import annotations

from typing import Any

from app.v1.models.chat import EXAMPLES as V1_EXAMPLES

_SCHEMA = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n"
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES"
    " customers (id), total NUMERIC NOT NULL, ordered_at TEXT NOT NULL);"
)

TEMPLATE_EXAMPLES: dict[str, Any] = {
    "default": {
        "summary": "The template default: a general assistant, briefly",
        "value": {
            "template": "default",
            "message": "Why is the sky blue?",
            "variables": {"brief": True},
        },
    },
    "code_assistant": {
        "summary": "The template code_assistant",
        "value": {
            "template": "code_assistant",
            "message": "Read a CSV file and print the sum of its column amount.",
            "variables": {"language": "Go"},
        },
    },
    "creative_writer": {
        "summary": "The template creative_writer; the request's own temperature wins",
        "value": {
            "template": "creative_writer",
            "message": "A lighthouse keeper finds a letter in a bottle.",
            "variables": {"genre": "fairy tale", "words": 120},
            "temperature": 0.8,
        },
    },
    "sql_assistant": {
        "summary": "The template sql_assistant, with your tables",
        "value": {
            "template": "sql_assistant",
            "message": "Which ten customers spent the most last month?",
            "variables": {"dialect": "SQLite", "schema": _SCHEMA},
        },
    },
    "therapy_assistant": {
        "summary": "The template therapy_assistant",
        "value": {
            "template": "therapy_assistant",
            "message": "I could not sleep for days because of my exam.",
            "variables": {"name": "Mina", "country": "South Korea"},
        },
    },
}

EXAMPLES: dict[str, Any] = V1_EXAMPLES | TEMPLATE_EXAMPLES
