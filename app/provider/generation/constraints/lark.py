"""Writes grammars in Lark's syntax as llguidance reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.provider.generation.constraints.grammar import JSON_OPTIONS
from app.provider.generation.constraints.token_table import TokenTable


class LarkWriter:
    """Collects rules. Texts are written for one vocabulary: its control tokens are one token."""

    def __init__(self, table: TokenTable) -> None:
        self._ends = frozenset(table.ends)
        self._special = table.control_texts
        self._split = table.control_pattern
        self._rules: list[str] = []
        self._written: dict[str, str] = {}
        self._names = 0

    def text(self, text: str) -> str:
        """The terms of a literal text; an end of answers is left out, for it comes anyway."""
        return " ".join(filter(None, map(self._term, self._split.split(text))))

    def _term(self, piece: str) -> str:
        token = self._special.get(piece)
        if token is None:
            return quoted(piece) if piece else ""
        return "" if token in self._ends else f"<[{token}]>"

    def is_special(self, text: str) -> bool:
        """Whether a text is the spelling of a control token."""
        return text in self._special

    def rule(self, body: str) -> str:
        """Add a rule, or find the one with this body; returns its name."""
        if body not in self._written:
            self._written[body] = self.named(self.new_name(), body)
        return self._written[body]

    def new_name(self) -> str:
        """A name for a rule that is written later."""
        self._names += 1
        return f"r{self._names}"

    def named(self, name: str, body: str) -> str:
        """Add a rule by its name."""
        self._rules.append(f"{name}: {body}")
        return name

    def json(self, schema: Any, **options: Any) -> str:
        """A rule of what matches a JSON Schema."""
        inside = schema if isinstance(schema, dict) else {}
        guided = {**inside, "x-guidance": JSON_OPTIONS | options}
        return self.rule(f"%json {json.dumps(guided)}")

    def until(self, closing: str, characters: str = r"(.|\n)*") -> str:
        """A rule of any text up to and including the first ``closing``."""
        first = next(filter(None, self._split.split(closing)))
        if self.is_special(first):
            return self.rule(f"{self.rule(f'/{characters}/')} {self.text(closing)}".strip())
        name = self.new_name()
        self._rules.append(f"{name}[lazy]: /{characters}/ {quoted(closing)}")
        return name

    def source(self, start: str) -> str:
        """The whole grammar."""
        return "\n".join((f"start: {start}", *self._rules))


def quoted(text: str) -> str:
    """A text as a literal."""
    return json.dumps(text)


def one_of(choices: Sequence[str]) -> str:
    """Alternatives in brackets."""
    return choices[0] if len(choices) == 1 else f"({' | '.join(choices)})"
