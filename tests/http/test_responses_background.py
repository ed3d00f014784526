"""Responses in the background, and streams that are continued."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.chatting import LONG
from tests.http.responses_wire import (
    RESPONSES,
    ended,
    events_of,
    require_grammar,
    require_same,
    respond,
    resumed,
    retrieved,
    streamed,
    text_of,
)
from tests.store import audit


def test_a_response_is_made_without_a_reader(me: httpx.Client) -> None:
    made = respond(me, background=True)
    assert (made["status"], made["output"], made["background"]) == ("queued", [], True)
    found = ended(me, made["id"])
    assert (found["status"], text_of(found)) == ("completed", "one two three")


def test_a_stream_is_continued_behind_every_event(me: httpx.Client) -> None:
    events = streamed(me, "one two three four", background=True)
    name = events[-1]["response"]["id"]
    assert resumed(me, name) == events
    for at in range(len(events)):
        assert resumed(me, name, at) == events[at + 1 :]


def test_one_that_is_being_made_is_continued(me: httpx.Client) -> None:
    body = {"model": "echo", "input": LONG, "background": True, "stream": True}
    text = ""
    with me.stream("POST", RESPONSES, json=body) as answer:
        for piece in answer.iter_text():
            text += piece
            if text.count("output_text.delta") > 20:
                break
    whole = text.rpartition("\n\n")[0]
    got = events_of(whole)
    name, last = got[0]["response"]["id"], got[-1]["sequence_number"]
    assert retrieved(me, name)["status"] == "in_progress"
    path, query = f"{RESPONSES}/{name}", {"stream": "true", "starting_after": str(last)}
    with me.stream("GET", path, params=query) as answer:
        pieces = answer.iter_text()
        more = next(pieces)
        me.post(f"{path}/cancel")
        more += "".join(pieces)
    every = [*got, *events_of(more)]
    require_grammar(every)
    stopped = retrieved(me, name)
    assert stopped["status"] == every[-1]["response"]["status"] == "cancelled"
    assert stopped["output"] == every[-1]["response"]["output"]
    assert LONG.startswith(text_of(stopped))


def test_one_that_has_ended_cannot_be_cancelled_any_more(me: httpx.Client) -> None:
    made = respond(me)
    require_same(me.post(f"{RESPONSES}/{made['id']}/cancel").json(), made)


def test_two_that_follow_one_wait_for_each_other(me: httpx.Client) -> None:
    first = respond(me, "a")
    options: dict[str, Any] = {"previous_response_id": first["id"], "background": True}
    both = [respond(me, word, **options) for word in ("b", "c")]
    found = [ended(me, made["id"]) for made in both]
    assert [text_of(one) for one in found] == ["b", "c"]
    assert [one["usage"]["input_tokens"] for one in found] == [3, 3]


@pytest.mark.parametrize("count", [30, *[pytest.param(1000, marks=pytest.mark.matrix)]])
def test_many_in_the_background(empty_models: Any, database_url: str, count: int) -> None:
    with serving(models_dir=empty_models, database_url=database_url) as client:
        names = [respond(client, f"{at} one two", background=True)["id"] for at in range(count)]
        for at, name in enumerate(names):
            assert text_of(resumed(client, name)[-1]["response"]) == f"{at} one two"
    assert len(audit.answers(database_url, "complete")) == count
    audit.require_sound(database_url)
