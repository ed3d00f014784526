"""axe-core looks for what keeps people with screen readers or keys from using the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.environments import node_with
from tests.page import chromium
from tests.page.chromium import Browser
from tests.page.page import Page

SEVERE = {"serious", "critical"}
MARKDOWN = "# Head\n\n- a\n- b\n\n```py\nx\n```\n\n|a|\n|-|\n|b|\n\n- [x] done\n\n[link](https://example.org)"


@pytest.fixture(scope="module")
def axe() -> str:
    _, folder = node_with("axe")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium.require()
    with chromium.running() as browser:
        yield browser


def findings(browser: Browser, axe: str) -> list[Any]:
    """The rules that are broken in a way that matters, and where."""
    browser.run(axe)
    violations = browser.run("return (await axe.run()).violations")
    return [
        (found["id"], [node["html"][:200] for node in found["nodes"]])
        for found in violations
        if found["impact"] in SEVERE
    ]


def test_a_field_without_a_name_is_found(browser: Browser, axe: str, echo: httpx.Client) -> None:
    Page(browser, str(echo.base_url)).open()
    browser.run("document.getElementById('model').removeAttribute('aria-label')")
    assert [rule for rule, _ in findings(browser, axe)] == ["select-name"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_can_be_used_by_all(
    browser: Browser, axe: str, echo: httpx.Client, theme: str
) -> None:
    page = Page(browser, str(echo.base_url)).open()
    browser.run("localStorage.setItem('theme', arguments[0])", theme)
    page.open()
    assert findings(browser, axe) == []
    page.ask(MARKDOWN)
    assert findings(browser, axe) == []
    browser.click("#open-options")
    assert findings(browser, axe) == []
