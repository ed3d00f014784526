"""The files of the page: how they are served, what they load, and that languages are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from app.page.routes import PREFIX, STATIC

BROWSER = {"Accept": "text/html"}
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
MOST_BYTES = 61_440
"""Of all files together, in three languages."""
MOST_SENT = 27_000
"""Of what a browser loads at first, packed."""


LANGUAGES = ("English", "Korean", "Chinese")


def names(text: str) -> set[str]:
    """The names of texts that a file asks for."""
    in_code = re.findall(r'\bt\("([\w-]+)"|\bt\([\w.]+ \? "([\w-]+)" : "([\w-]+)"\)', text)
    tags = re.findall(r"<[^>]*\bdata-(?:t|label)\b[^>]*>", text)
    return {name for found in in_code for name in found if name} | {name_in(tag) for tag in tags}


def name_in(tag: str) -> str:
    """The name of the text of an element: its own, else the id."""
    named = re.search(r'data-(?:t|label)="([\w-]+)"', tag) or re.search(r'\bid="([\w-]+)"', tag)
    assert named, tag
    return named[1]


def texts() -> dict[str, list[str]]:
    """The names of the texts, each with its text in every language."""
    found: dict[str, list[str]] = {}
    for line in (STATIC / "texts.js").read_text("utf-8").splitlines():
        if entry := re.fullmatch(r'\t"?([\w-]+)"?: (\[.*\]),', line):
            found[entry[1]] = json.loads(entry[2])
    return found


def test_every_language_has_all_texts() -> None:
    for name, row in texts().items():
        assert len(row) == len(LANGUAGES), name
        assert all(row), name
        placeholders = [sorted(re.findall(r"\{\w+\}", text)) for text in row]
        assert placeholders == [placeholders[0]] * len(LANGUAGES), name


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = {
        name
        for path in FILES
        if path.suffix in {".js", ".html"}
        for name in names(path.read_text())
    }
    assert len(asked) > 30
    assert asked <= set(texts())


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FILES) <= MOST_BYTES
    assert not [path for path in MODULES if len(path.read_text().splitlines()) >= 300]


@pytest.mark.parametrize("path", MODULES, ids=[path.name for path in MODULES])
def test_no_html_is_made_from_text(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\("
    assert not re.findall(forbidden, path.read_text())


def test_little_is_sent(echo: httpx.Client) -> None:
    names = [path.relative_to(STATIC).as_posix() for path in FILES]
    loaded = ["/", *(f"{PREFIX}/{name}" for name in names if name != "index.html")]
    answers = [
        echo.get(address, headers={**BROWSER, "Accept-Encoding": "gzip"}) for address in loaded
    ]
    assert sum(int(answer.headers["content-length"]) for answer in answers) <= MOST_SENT
    plain = [
        echo.get(address, headers={**BROWSER, "Accept-Encoding": "identity"}) for address in loaded
    ]
    assert [answer.content for answer in answers] == [answer.content for answer in plain]


def test_only_what_has_changed_is_sent_again(echo: httpx.Client) -> None:
    for path in FILES:
        name = path.relative_to(STATIC).as_posix()
        address = "/" if name == "index.html" else f"{PREFIX}/{name}"
        first = echo.get(address, headers=BROWSER)
        assert first.status_code == 200
        assert first.headers["cache-control"] == "no-cache"
        again = echo.get(address, headers={**BROWSER, "If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_policy_allows_nothing_inline(echo: httpx.Client) -> None:
    page = echo.get("/", headers=BROWSER)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not re.findall(r"<style|\bstyle=|\bon\w+=|<script(?![^>]*src=)", page.text)
    assert page.headers["x-content-type-options"] == "nosniff"
