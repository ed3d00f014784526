"""Constraints as grammars of llguidance."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from app.provider.errors import UnsupportedConstraint
from app.provider.generation.constraints.narrow_schema import narrowed
from app.provider.generation.constraints.schema_limits import check_schema
from app.provider.types import Constraint

JSON_OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
}
"""Blanks as ``json.dumps`` writes them and models have read them most, and nowhere else: small
models would write blanks without end. What cannot be enforced is refused."""

_MOST_SOURCE = 65536


_SLASH = re.compile(r"\\.|/|\n", re.DOTALL)
_WRITTEN = {"/": r"\/", "\n": r"\n"}
"""What Lark's syntax wants escaped in a regular expression."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar in llguidance's own format (JSON or Lark), and what it is called in refusals."""

    source: str
    name: str

    @property
    def digest(self) -> bytes:
        """What identifies it."""
        return hashlib.sha256(self.source.encode("utf-8", "replace")).digest()


def check_caps(constraint: Constraint) -> None:
    """Raise UnsupportedConstraint for what is too long, too deep or too large to be compiled."""
    _check_length(constraint)
    if constraint.kind == "json_schema":
        json_schema(constraint.source)


def _check_length(constraint: Constraint) -> None:
    if len(constraint.source.encode("utf-8", "replace")) > _MOST_SOURCE:
        raise UnsupportedConstraint(
            f"A schema, regular expression or grammar takes at most {_MOST_SOURCE} bytes."
        )


def grammar_of(constraint: Constraint) -> Grammar:
    """Check a constraint and turn it into a grammar; raises UnsupportedConstraint."""
    _check_length(constraint)
    if constraint.kind == "json_schema":
        return Grammar(_one(json_schema=narrowed(json_schema(constraint.source))), "schema")
    if constraint.kind == "regex":
        return Grammar(_one(lark_grammar=_matching(constraint.source)), "regular expression")
    return Grammar(_one(lark_grammar=constraint.source), "grammar")


def json_schema(source: str) -> dict[str, Any]:
    """A checked schema with the options of ours; raises UnsupportedConstraint."""
    try:
        schema = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise UnsupportedConstraint("The schema is not valid JSON.") from error
    check_schema(schema)
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        raise UnsupportedConstraint("A schema is a JSON object.")
    return schema | {"x-guidance": JSON_OPTIONS}


def _matching(regex: str) -> str:
    """A grammar of what matches a regular expression as a whole."""
    if regex.endswith("$") and not regex.endswith(r"\$"):
        regex = regex[:-1]
    written = _SLASH.sub(lambda found: _WRITTEN.get(found[0], found[0]), regex.removeprefix("^"))
    return f"start: /{written}/"


def _one(**grammar: Any) -> str:
    return json.dumps({"grammars": [grammar]}, ensure_ascii=False)
