"""The page while its server cannot be reached: nothing is sent twice, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.page.chromium import ENTER, Browser
from tests.page.halting import Halting
from tests.page.line import Line, line
from tests.page.page import Page
from tests.proxy.nginx import free_ports
from tests.store.servers import Server

LONG = "one two three four five " * 8_000
"""Takes the echo engine seconds."""

TEXT = "document.querySelector('.assistant > .markdown')?.textContent"
NOTE = "document.querySelector('.assistant:last-child .note')?.innerText"


@pytest.fixture
def cuttable(server: httpx.Client) -> Iterator[Line]:
    """A line to the server that all tests share."""
    with line(str(server.base_url)) as made:
        yield made


@pytest.fixture
def page(browser: Browser, cuttable: Line) -> Page:
    """The page over that line, with the model ``echo``."""
    page = Page(browser, cuttable.address).open()
    page.choose("echo")
    return page


def test_what_creates_something_is_done_once(
    page: Page, cuttable: Line, server: httpx.Client
) -> None:
    cuttable.losing = 1
    assert page.ask("a new conversation") == "a new conversation"
    cuttable.losing = 1
    assert page.ask("a message") == "a message"
    cuttable.losing = 1
    page.browser.click('.message:last-child [aria-label="Answer again"]')
    page.browser.wait("document.querySelector('.message:last-child').innerText.includes('2 / 2')")
    cuttable.losing = 1
    page.browser.click('.message:nth-last-child(2) [aria-label="Change the question"]')
    page.browser.type("#message", f", changed{ENTER}")
    page.browser.wait(
        "document.querySelector('.message:nth-last-child(2)').innerText.includes('2 / 2')"
    )
    assert page.answer() == "a message, changed"

    assert cuttable.losing == 0
    address = f"/api/v6/conversations/{page.id}?branch=all"
    stored = Counter(one["content"] for one in server.get(address).json()["messages"])
    assert stored == {"a new conversation": 2, "a message": 3, "a message, changed": 2}
    keys = Counter(cuttable.sent("Idempotency-Key"))
    assert len(keys) == 4
    assert min(keys.values()) > 1
    found = server.get("/api/v6/conversations", params={"query": "conversation"}).json()
    assert [one["title"] for one in found["conversations"]].count("a new conversation") == 1


def begin_and_cut(page: Page, line: Line) -> None:
    """Ask what takes long; the line is cut while it is answered."""
    line.room = len(LONG) // 4
    page.begin(LONG)
    page.browser.wait(f"{NOTE}.includes('Connection lost')")


def test_an_answer_waits_for_the_line_and_goes_on(page: Page, cuttable: Line) -> None:
    begin_and_cut(page, cuttable)
    assert "Connection lost" in page.announced()
    assert page.browser.run("return document.getElementById('stop').checkVisibility()")
    cuttable.mend()
    assert page.answer().split() == LONG.split()
    page.browser.wait("document.getElementById('banner').hidden")
    positions = cuttable.sent("Last-Event-ID")
    assert all(int(position.rpartition(":")[2]) > 0 for position in positions)
    assert positions


def test_waiting_for_the_line_can_be_stopped(page: Page, cuttable: Line) -> None:
    begin_and_cut(page, cuttable)
    page.browser.click("#stop")  # The server does not hear of it.
    page.browser.wait(f"{NOTE}.startsWith('stopped')")
    page.browser.wait("document.getElementById('send').checkVisibility()")
    cuttable.mend()
    page.browser.click(".assistant .note button")
    assert page.answer().split() == LONG.split()


def test_a_killed_server_is_waited_for(browser: Browser, halting: Halting, tmp_path: Path) -> None:
    halting.put_into(tmp_path)
    (port,) = free_ports(1)
    server = Server(f"sqlite:///{tmp_path}/sllm.db", tmp_path, PORT=str(port))
    server.start()
    server.open()
    try:
        page = Page(browser, server.address()).open()
        page.choose(halting.name)
        page.begin("go on")
        browser.wait(f"{TEXT}.length >= arguments[0]", len(halting.beginning))
        server.kill()
        browser.wait(f"{NOTE}.includes('Connection lost')")
        server.start()
        halting.may_go_on.set()
        browser.click(".assistant .note button")  # What it was making is lost with it.
        browser.wait("document.querySelector('.assistant footer')?.innerText.includes('2 / 2')")
        assert page.answers() == [halting.answer]
        server.end()
        page.begin("are you there")
        browser.wait(f"{NOTE}.includes('Connection lost')")
        server.start()
        assert page.answer() == halting.answer
        stored = server.asked(f"/api/v6/conversations/{page.id}?branch=all").json()["messages"]
        assert [one["content"] for one in stored].count("are you there") == 1
        browser.wait("document.getElementById('banner').hidden")
    finally:
        server.kill()
