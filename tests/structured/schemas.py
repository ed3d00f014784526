"""Random JSON schemas and tools whose answers end: strings, arrays and depth are bounded."""

from __future__ import annotations

import json
import random
from typing import Any

from app.provider.types import Tool

Schema = dict[str, Any]

WORDS = (
    "name",
    "city",
    "a b",
    "값",
    "née",
    "x-1",
    "count",
    'quo"te',
    "back\\slash",
    "tags",
    "id",
    "_",
)
PATTERNS = ("^[A-Z]{2}-[0-9]{3}$", "^(yes|no|maybe)$", "^[a-z]+@[a-z]+\\.org$", "^\\d{4}$")
FORMATS = ("date", "time", "date-time", "uuid", "ipv4", "email")
VALUES = (None, True, False, 0, -7, 2.5, "", "red", "안녕", "two words", [1, "a"], {"k": [None]})
DEEPEST = 3


def random_schema(dice: random.Random) -> Schema:
    """A schema, mostly of an object, sometimes with definitions that it refers to."""
    if dice.random() < 0.2:
        leaf = random_node(dice, 2)
        schema = random_object(dice, 1)
        schema["properties"]["reference"] = {"$ref": "#/$defs/leaf"}
        return {**schema, "$defs": {"leaf": leaf}}
    return random_object(dice, 0) if dice.random() < 0.8 else random_node(dice, 0)


def random_tools(dice: random.Random) -> tuple[Tool, ...]:
    """One to five tools with names of their own."""
    names = dice.sample(("get_weather", "search", "save_note", "now", "add", "open-door"), 5)
    return tuple(
        Tool(name, f"The tool {name}.", json.dumps(random_object(dice, 1)), strict=True)
        for name in names[: dice.randint(1, 5)]
    )


def random_node(dice: random.Random, depth: int) -> Schema:
    """A schema of any kind; at the deepest level of a plain value."""
    plain = (random_string, random_number, random_constant)
    nested = (random_object, random_array, random_choice)
    kinds = plain if depth >= DEEPEST else (*plain, *nested)
    return dice.choice(kinds)(dice, depth + 1)


def random_object(dice: random.Random, depth: int) -> Schema:
    """Some members are required, and there are no others."""
    keys = dice.sample(WORDS, dice.randint(0 if depth else 1, 4))
    return {
        "type": "object",
        "properties": {key: random_node(dice, depth + 1) for key in keys},
        "required": [key for key in keys if dice.random() < 0.6],
        "additionalProperties": False,
    }


def random_array(dice: random.Random, depth: int) -> Schema:
    least = dice.randint(0, 2)
    items = random_node(dice, depth + 1)
    return {"type": "array", "items": items, "minItems": least, "maxItems": dice.randint(least, 3)}


def random_choice(dice: random.Random, depth: int) -> Schema:
    """One of several kinds."""
    if dice.random() < 0.3:
        return {"type": dice.sample(["boolean", "null", "integer"], 2), "minimum": 0, "maximum": 99}
    return {"anyOf": [random_node(dice, DEEPEST) for _ in range(dice.randint(2, 3))]}


def random_string(dice: random.Random, _depth: int) -> Schema:
    kind = dice.random()
    if kind < 0.2:
        return {"type": "string", "pattern": dice.choice(PATTERNS), "maxLength": 24}
    if kind < 0.35:
        return {"type": "string", "format": dice.choice(FORMATS)}
    least = dice.randint(0, 3)
    return {"type": "string", "minLength": least, "maxLength": least + dice.randint(0, 12)}


def random_number(dice: random.Random, _depth: int) -> Schema:
    least = dice.randint(-1000, 1000)
    most = least + dice.randint(0, 2000)
    if dice.random() < 0.3:
        return {"type": "number", "minimum": least, "exclusiveMaximum": most + 0.5}
    if dice.random() < 0.2:
        return {"type": "number", "minimum": least, "maximum": most + 1, "multipleOf": 0.25}
    return {"type": "integer", "minimum": least, "maximum": most}


def random_constant(dice: random.Random, _depth: int) -> Schema:
    if dice.random() < 0.3:
        return {"type": "boolean"}
    if dice.random() < 0.3:
        return {"const": dice.choice(VALUES)}
    return {"enum": dice.sample(VALUES, dice.randint(1, 4))}
