"""The page with a busy server, another tab, and very many conversations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert

from app.storage.database import Database
from app.storage.ids import new_id, now
from app.storage.tables import Conversation
from app.web.auth import LOCAL
from tests.conftest import serving
from tests.page.conftest import OpenPage
from tests.page.halting import Halting
from tests.page.page import Page

MANY = 10_000


def test_a_busy_server_is_asked_again(page_of: OpenPage, halting: Halting, tmp_path: Path) -> None:
    halting.put_into(tmp_path)
    with serving(models_dir=tmp_path, engine_slots=1, max_waiting=0) as client:
        page = page_of(client)
        page.choose(halting.name)
        body = {"message": "hi", "model": halting.name}
        with client.stream("POST", "/api/v2/chat/stream", json=body) as answer:
            pieces = answer.iter_text()
            next(pieces)
            page.begin("is there room")
            page.browser.wait(
                "document.querySelector('.waiting')?.innerText.includes('Trying again')"
            )
            halting.may_go_on.set()
        assert page.answer() == halting.answer


def test_another_tab_sees_what_happens(page: Page, page_of: OpenPage, server: httpx.Client) -> None:
    page.ask("from the first tab")
    name = page.id
    other = page_of(server).open(f"#{name}")
    other.browser.wait("document.querySelectorAll('.message').length === 2")
    other.browser.switch(page.tab)
    page.ask("and once more")
    other.browser.switch(other.tab)
    other.browser.wait("document.querySelectorAll('.message').length === 4")
    assert other.answers()[-1] == "and once more"


def test_what_was_refused_can_be_tried_again(page: Page, server: httpx.Client) -> None:
    page.ask("first")
    server.delete(f"/api/v6/conversations/{page.id}")
    page.begin("into nothing")
    page.browser.wait("document.querySelector('.message:last-child .note button')")
    assert "There is no conversation" in page.announced()
    page.browser.click(".message:last-child .note button")
    page.browser.wait("document.querySelector('.message:last-child .note button')")
    assert page.questions() == ["first", "into nothing"]
    page.begin("once more")
    page.browser.wait("document.querySelector('.message:last-child .note button')")
    assert page.questions() == ["first", "once more"]


@pytest.fixture
def crowded(tmp_path: Path, empty_models: Path) -> Iterator[httpx.Client]:
    """A server with very many conversations."""
    url = f"sqlite:///{tmp_path}/sllm.db"
    with serving(database_url=url, models_dir=empty_models) as client:
        database = Database(url)
        moment = now()
        with database.engine.begin() as connection:
            rows = [row(number, moment) for number in range(MANY)]
            connection.execute(insert(Conversation), rows)
        database.close()
        yield client


def row(number: int, moment: int) -> dict[str, object]:
    times = {"created_at": moment + number, "updated_at": moment + number}
    return {"id": new_id(), "owner": LOCAL, "title": f"talk {number}", "setup": {}, **times}


def test_ten_thousand_conversations_are_a_list_of_pages(
    page_of: OpenPage, crowded: httpx.Client
) -> None:
    page = page_of(crowded)
    page.browser.wait("performance.getEntriesByName('first-contentful-paint').length")
    painted = page.browser.run(
        "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    print(f"first paint after {painted:.0f} ms")  # noqa: T201 — shown with -s
    assert painted < 60_000  # docs/page.md says what was measured
    page.browser.wait("document.querySelectorAll('#conversations li').length === 40")
    page.browser.find("#hint")  # Only echo is there.
    assert page.browser.text("#conversations a span").split("\n")[0] == f"talk {MANY - 1}"
    page.browser.run("document.getElementById('more').scrollIntoView()")
    page.browser.wait("document.querySelectorAll('#conversations li').length === 80")
