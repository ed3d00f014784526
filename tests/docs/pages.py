"""What the pages for people show: programs, commands, links, addresses, names of settings."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ko.md", "README.zh.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"(?:^|\s+)(?:#|//) .*$", re.MULTILINE)
ARGUMENT = re.compile(r"\{\w+\}")


def text_of(page: str) -> str:
    """The text of a page, by its path from the root of the repository."""
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are marked with a language."""
    return [block for found, block in BLOCK.findall(text_of(page)) if found == language]


def commands(page: str) -> list[tuple[str, str]]:
    """Language and text of all blocks of a page, without comments, which are translated."""
    return [(language, COMMENT.sub("", block)) for language, block in BLOCK.findall(text_of(page))]


def links(page: str) -> set[str]:
    """Where the links of a page lead, with what is behind a ``#``."""
    return set(re.findall(r"\]\(([^)]+)\)", text_of(page)))


def code(text: str) -> set[str]:
    """What a text names in backticks, outside its blocks."""
    return {" ".join(each.split()) for each in re.findall(r"`([^`]+)`", BLOCK.sub("", text))}


def anchors(page: str) -> set[str]:
    """The anchors that a page has by its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text_of(page)), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@cache
def routes() -> set[str]:
    """All paths of the exported contracts, with ``{}`` for arguments."""
    documents = (ROOT / "api_docs").glob("*.json")
    paths = {
        path for document in documents for path in json.loads(document.read_text("utf-8"))["paths"]
    }
    return {ARGUMENT.sub("{}", path) for path in paths}


def named_routes(page: str) -> set[str]:
    """The paths in backticks and in addresses of this server, with ``{}`` for arguments.

    Without queries, and without a base of several routes, such as ``/v1``.
    """
    text = text_of(page)
    found = re.findall(r"(?<=127\.0\.0\.1:8000)/[\w./{}-]+", text)
    found += re.findall(r"(?<=[`\s])/(?:v\d|api/v\d|tool)/[\w./{}-]+", text)
    return {ARGUMENT.sub("{}", path).rstrip("/.") for path in found}
