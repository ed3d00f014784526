"""A page in another language shows the same commands, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config import Settings
from app.config.other_names import OTHER_NAMES
from tests.clients.open_webui import settings
from tests.docs.pages import (
    READMES,
    ROOT,
    anchors,
    code,
    commands,
    links,
    named_routes,
    routes,
    text_of,
)

CLIENTS = ("docs/clients.md", "docs/clients.ko.md")
OPEN_WEBUI = ("docs/open-webui.md", "docs/open-webui.ko.md")
NOT_OURS = {
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_MODEL",
    "CMAKE_ARGS",
    "LLAMA_WHEEL_INDEX",
    "OPENAI_API_BASE",
    "OPENAI_API_BASE_URL",
    "OPENAI_API_KEY",
    "OPEN_WEBUI",
    "PIP_INDEX_URL",
    "SLLM_API_KEY",
}
"""Variables of ``run.sh``, of pip, of clients and of their tests."""
BASES = {"/", "/v1", "/v2", "/api/v4", "/mcp", "/docs"}
"""Addresses that no contract lists: bases of routes, a protocol, a page."""
NOT_SERVED = {"/v1/audio"}
"""What a page says there is not."""
TABLE_OF_SETTINGS = re.compile(r"^\| `[A-Z_]+` \|.*\n", re.MULTILINE)


def test_the_commands_of_the_chinese_readme_are_those_of_the_english_one() -> None:
    english, chinese = (
        [(language, _plain(text)) for language, text in commands(page)]
        for page in ("README.md", "README.zh.md")
    )
    assert chinese == english


def _plain(text: str) -> str:
    """Without the names of what a reader puts in."""
    return re.sub("<.*?>", "<>", text)


def test_the_chinese_readme_names_what_the_english_one_names() -> None:
    """All but the table of settings, to which it leads."""
    english = TABLE_OF_SETTINGS.sub("", text_of("README.md"))
    named = {_plain(name) for name in code(text_of("README.zh.md"))}
    assert {_plain(name) for name in code(english)} - named == set()


def test_the_chinese_readme_links_to_what_the_english_one_links_to() -> None:
    english = {link for link in links("README.md") if not link.startswith("README")}
    assert english - links("README.zh.md") == set()


@pytest.mark.parametrize("page", READMES)
def test_every_readme_links_to_the_other_languages_at_its_top(page: str) -> None:
    top = text_of(page)[: text_of(page).index("\n* ")]
    assert set(re.findall(r"\]\((README[\w.]*)\)", top)) == set(READMES) - {page}


@pytest.mark.parametrize("pages", [CLIENTS, OPEN_WEBUI])
def test_guides_show_the_same_in_both_languages(pages: tuple[str, str]) -> None:
    english, korean = map(commands, pages)
    assert korean == english


@pytest.mark.parametrize("page", OPEN_WEBUI)
def test_what_the_guide_to_open_webui_sets_is_what_its_test_sets(page: str) -> None:
    assigned = re.compile(r"(?:export |\s)([A-Z_]+)=('[^']*'|\S+)")
    tested = settings("http://127.0.0.1:8000", "none", Path())
    shown = dict(assigned.findall("".join(text for _, text in commands(page) if "export" in text)))
    shown = {name: value.strip("'") for name, value in shown.items()}
    assert len(shown) > 8
    assert shown == {name: tested[name] for name in shown}


@pytest.mark.parametrize("page", [*READMES, *CLIENTS])
def test_settings_that_a_page_names_exist(page: str) -> None:
    known = {name.upper() for name in Settings.model_fields} | NOT_OURS
    known |= {other.name for other in OTHER_NAMES}
    named = set(re.findall(r"(?<![\w/.-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?=[`=])", text_of(page)))
    assert named - known == set()


@pytest.mark.parametrize("page", [*READMES, *CLIENTS, *OPEN_WEBUI])
def test_routes_that_a_page_names_exist(page: str) -> None:
    named = named_routes(page)
    assert len(named) > 2
    assert named - routes() - BASES - NOT_SERVED == set()


@pytest.mark.parametrize("path", sorted(NOT_SERVED))
def test_what_pages_say_is_not_served_is_not(path: str) -> None:
    assert [route for route in routes() if route.startswith(path)] == []


@pytest.mark.parametrize("page", [*READMES, *CLIENTS, *OPEN_WEBUI])
def test_links_with_an_anchor_lead_to_a_heading(page: str) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if anchor and not target.startswith("http"):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert anchor in anchors(_from_root(path)), link


def _from_root(path: Path) -> str:
    return path.resolve().relative_to(ROOT).as_posix()
