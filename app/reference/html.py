"""OpenAPI documents → one HTML page without scripts, which opens from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

Schema = Mapping[str, Any]

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
}


def page(documents: Mapping[str, Schema]) -> str:
    """Render all versions, the newest first."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "static"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "type": type_of, "bounds": bounds, "pretty": pretty}
    environment.filters["address"] = address
    newest_first = dict(reversed(list(documents.items())))
    return environment.get_template("reference.html").render(documents=newest_first) + "\n"


def prose(text: str) -> Markup:
    """Paragraphs, lists and `code` of a description."""
    blocks = text.strip().split("\n\n")
    return Markup("\n").join(_block(block) for block in blocks)


def _block(block: str) -> Markup:
    if not block.startswith("* "):
        return Markup("<p>{}</p>").format(_code(block))
    items = block.removeprefix("* ").split("\n* ")
    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(_code(item)) for item in items)
    )


def _code(text: str) -> Markup:
    pieces = text.split("`")
    pieces[1::2] = [Markup("<code>{}</code>").format(piece) for piece in pieces[1::2]]
    return Markup("").join(escape(piece) for piece in pieces)


def type_of(schema: Schema, version: str) -> Markup:
    """A schema in a few words; other schemas become links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}-{1}">{1}</a>').format(version, name)
    if "anyOf" in schema:
        return Markup(" or ").join(type_of(option, version) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return Markup("list of {}").format(type_of(schema["items"], version))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values:
        return Markup(" | ").join(Markup("<code>{}</code>").format(pretty(v)) for v in values)
    return escape(schema.get("type", "any"))


def address(operation: Schema, path: str) -> str:
    """The path, with the example of each of its parameters that has one."""
    for parameter in operation.get("parameters", ()):
        for example in list(parameter.get("examples", {}).values())[:1]:
            path = path.replace(f"{{{parameter['name']}}}", str(example["value"]))
    return path


def bounds(schema: Schema) -> str:
    """The limits of a value, also those of its alternatives."""
    texts = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    texts += [inner for option in schema.get("anyOf", ()) if (inner := bounds(option))]
    return ", ".join(texts)


def pretty(value: object) -> str:
    """JSON as people write it."""
    compact = not isinstance(value, (dict, list)) or not value
    return json.dumps(value, ensure_ascii=False, indent=None if compact else 2)
