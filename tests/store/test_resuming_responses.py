"""Streams of responses that go on at another server, and after a kill -9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.chatting import WHOLE
from tests.http.openai_wire import Object
from tests.http.responses_wire import (
    RESPONSES,
    ended,
    events_of,
    require_grammar,
    resumed,
    retrieved,
    text_of,
)
from tests.selection import on_sqlite_daily
from tests.store import audit
from tests.store.servers import server
from tests.store.test_kills import restart
from tests.store.test_resuming import ENDLESS, client_of

pytestmark = pytest.mark.slow


def begun(client: httpx.Client, most: int, given: str = WHOLE) -> list[Object]:
    """The first events of a response in the background."""
    body = {"model": "echo", "input": given, "background": True, "stream": True}
    with client.stream("POST", RESPONSES, json=body) as answer:
        got: list[Object] = []
        for event in read(answer):
            got.append(event)
            if len(got) == most:
                break
    return got


def read(answer: httpx.Response) -> Iterator[Object]:
    left = ""
    for piece in answer.iter_text():
        *blocks, left = (left + piece).split("\n\n")
        yield from (event for block in blocks for event in events_of(block))


@on_sqlite_daily
def test_a_stream_goes_on_at_another_server(database_url: str, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        server(database_url, tmp_path / "one") as one,
        server(database_url, tmp_path / "other") as other,
        client_of(one) as here,
        client_of(other) as there,
    ):
        got = begun(here, 9)
        name = got[0]["response"]["id"]
        every = [*got, *resumed(there, name, got[-1]["sequence_number"])]
        require_grammar(every)
        assert text_of(every[-1]["response"]) == WHOLE
        assert [event["type"] for event in resumed(here, name)] == [e["type"] for e in every]


@on_sqlite_daily
def test_a_killed_server_leaves_a_response_that_failed(database_url: str, tmp_path: Path) -> None:
    with server(database_url, tmp_path) as one:
        with client_of(one) as client:
            got = begun(client, 40, ENDLESS)
            name, last = got[0]["response"]["id"], got[-1]["sequence_number"]
        one.kill()
        restart(one, database_url)
        with client_of(one) as client:
            rest = resumed(client, name, last)
            found = retrieved(client, name)
            assert ended(client, name) == found
        assert [event["sequence_number"] for event in rest] == [
            last + 1 + at for at in range(len(rest))
        ]
        assert rest[-1]["type"] == "response.failed"
        assert rest[-1]["response"]["error"]["code"] == "server_error"
        assert found["status"] == "failed"
        assert ENDLESS.startswith(text_of(found))
    audit.require_sound(database_url)
