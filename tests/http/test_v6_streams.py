"""Streams of v6 that break off and go on."""

from __future__ import annotations

import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.http import wire
from tests.http.chatting import LONG, WHOLE, chat, wait_for
from tests.http.resuming import CHAT, STREAM, Copy, asked, events, path_of, stream_path
from tests.http.stored import GONE, found, opened, refused
from tests.store import audit

WORDS = "하나 two 😀 drei " * 1_500
"""Takes the echo engine a part of a second, and has characters of every width."""


def joined(client: httpx.Client, head: dict[str, Any], **query: Any) -> Copy:
    """A copy that is read from where the query says, without the ids being checked."""
    copy = Copy()
    with client.stream("GET", path_of(head), params=query) as answer:
        for event in events(answer):
            if event.name == "reset":
                copy.resets += 1
                copy.text = event.data["text"]
            elif event.name == "delta":
                copy.text += event.data["text"]
            elif event.name == "message":
                copy.head = event.data
            copy.last_id, copy.end = event.id, event
    return copy


def key_of(client: httpx.Client) -> bytes:
    """Its key, as a line of the head of a request."""
    return f"X-API-Key: {client.headers['X-API-Key']}\r\n".encode()


def test_ids_count_the_characters_of_the_answer(me: httpx.Client) -> None:
    copy = asked(me, WORDS)
    assert copy.text == WORDS
    assert copy.end
    assert copy.end.name == "done"
    assert copy.last_id == f"{copy.head['message_id']}:{len(WORDS)}"


def test_v5_counts_its_events_as_ever(me: httpx.Client) -> None:
    with me.stream("POST", "/api/v5/chat/stream", json={"message": "one two"}) as answer:
        assert [event.id for event in events(answer)] == ["0", "1", "2", "3"]


def test_a_finished_answer_is_replayed(me: httpx.Client) -> None:
    first = asked(me, WORDS)
    again = Copy()
    with me.stream("GET", path_of(first.head)) as answer:
        again.read(answer)
    assert (again.text, again.resets) == (WORDS, 0)
    assert first.end
    assert again.end
    assert again.end.data == first.end.data
    assert {**again.head, "template": None} == first.head | {"template": None}


@pytest.mark.parametrize("characters", [0, 1, len(WORDS) - 1, len(WORDS)])
def test_a_finished_answer_is_replayed_from_anywhere(me: httpx.Client, characters: int) -> None:
    head = asked(me, WORDS).head
    for after in (str(characters), f"{head['message_id']}:{characters}"):
        copy = joined(me, head, after=after)
        assert (copy.text, copy.resets) == (WORDS[characters:], 0)
        assert copy.end
        assert copy.end.name == "done"


def test_more_than_there_is_gets_one_reset(me: httpx.Client) -> None:
    head = asked(me, "one two").head
    copy = joined(me, head, after=8)
    assert (copy.text, copy.resets) == ("one two", 1)
    assert copy.last_id == f"{head['message_id']}:7"


def test_the_header_wins_over_the_address(me: httpx.Client) -> None:
    head = asked(me, "one two").head
    sent = {"Last-Event-ID": f"{head['message_id']}:4"}
    with me.stream("GET", path_of(head), params={"after": "0"}, headers=sent) as answer:
        assert [event.data["text"] for event in events(answer) if event.name == "delta"] == ["two"]


def test_twenty_connections_make_one_answer(me: httpx.Client) -> None:
    """Each begins at a random point of what came before, also when the answer has ended."""
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    copy = asked(me, WORDS * 8, most=3, on_disconnect="continue")
    for _ in range(20):
        characters = moments.randint(0, len(copy.text))
        copy.text, copy.end = copy.text[:characters], None
        copy.last_id = f"{copy.head['message_id']}:{characters}"
        copy.resume(me, moments.randint(2, 12))
    if copy.end is None:
        copy.resume(me)
    assert (copy.text, copy.resets) == (WORDS * 8, 0), f"seed {seed}"


def test_all_who_read_get_all_of_it(me: httpx.Client) -> None:
    first = asked(me, WORDS * 4, most=2, on_disconnect="continue")

    def read(_: int) -> Copy:
        copy = Copy(head=first.head)
        copy.resume(me)
        return copy

    with ThreadPoolExecutor(8) as threads:
        copies = list(threads.map(read, range(8)))
    assert {copy.text for copy in copies} == {WORDS * 4}
    assert {copy.end.name for copy in copies if copy.end} == {"done"}


def test_a_reader_that_is_slow_delays_nobody_and_misses_nothing(me: httpx.Client, url: str) -> None:
    first = asked(me, WORDS * 8, most=2, on_disconnect="continue")
    key = key_of(me) + b"Connection: close\r\n"
    with wire.connected(me, reads=4096) as raw:
        raw.sendall(wire.request("GET", path_of(first.head), headers=key))
        wait_for(url, first.head["conversation_id"], "complete")
        quick = Copy(head=first.head)
        quick.resume(me)
        data = b""
        while more := wire.received(raw):
            data += more
    body = b"".join(re.split(rb"\r\n[0-9a-f]+\r\n|\r\n0\r\n\r\n", data.partition(b"\r\n\r\n")[2]))
    deltas = [json.loads(line[6:]) for line in body.decode().splitlines() if '{"text"' in line]
    assert "".join(one["text"] for one in deltas) == quick.text == WORDS * 8


def test_an_answer_goes_on_when_nobody_reads_it(me: httpx.Client, url: str) -> None:
    copy = asked(me, WORDS, most=2, on_disconnect="continue")
    kept = wait_for(url, copy.head["conversation_id"], "complete")
    assert kept.content == WORDS


def test_an_answer_stops_with_the_client_that_asked(me: httpx.Client, url: str) -> None:
    copy = asked(me, LONG, most=2)
    wait_for(url, copy.head["conversation_id"], "stopped")
    again = Copy(text=copy.text, head=copy.head, last_id=copy.last_id)
    again.resume(me)
    assert again.end
    assert (again.end.name, again.end.data["finish_reason"]) == ("done", "cancelled")
    assert again.end.data["usage"] is None
    assert LONG.startswith(again.text)


def test_a_reader_that_hangs_up_stops_nothing(me: httpx.Client, url: str) -> None:
    with me.stream("POST", STREAM, json={"message": WORDS * 4}) as answer:
        copy, mine = Copy(), events(answer)
        copy.take(next(mine))
        for most in (1, 2, 3):
            Copy(head=copy.head).resume(me, most)
        for event in mine:
            copy.take(event)
    assert copy.text == WORDS * 4
    wait_for(url, copy.head["conversation_id"], "complete")


def test_a_whole_answer_goes_on_too(me: httpx.Client, url: str) -> None:
    conversation = chat(me)["conversation_id"]
    body = {"message": WHOLE, "conversation_id": conversation, "on_disconnect": "continue"}
    with wire.connected(me) as raw:
        raw.sendall(wire.request("POST", CHAT, json.dumps(body).encode(), key_of(me)))
        while len(audit.messages(url, conversation)) < 4:  # it has begun
            time.sleep(0.02)
    deadline = time.monotonic() + 60
    while (answer := audit.messages(url, conversation)[-1]).status == "generating":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (answer.status, answer.content) == ("complete", WHOLE)


def test_stopping_ends_the_streams_of_all(me: httpx.Client) -> None:
    first = asked(me, LONG, most=2, on_disconnect="continue")
    with me.stream("GET", path_of(first.head)) as answer:
        copy, mine = Copy(), events(answer)
        copy.take(next(mine))
        me.post(f"/api/v6/conversations/{first.head['conversation_id']}/stop")
        for event in mine:
            copy.take(event)
    assert copy.end
    assert (copy.end.name, copy.end.data["finish_reason"]) == ("done", "cancelled")


def test_deleting_ends_the_streams_with_an_error(me: httpx.Client) -> None:
    first = asked(me, LONG, most=2, on_disconnect="continue")
    with me.stream("GET", path_of(first.head)) as answer:
        copy, mine = Copy(), events(answer)
        copy.take(next(mine))
        assert me.delete(f"/api/v6/conversations/{first.head['conversation_id']}").is_success
        for event in mine:
            copy.take(event)
    assert copy.end
    assert (copy.end.name, copy.end.data["code"]) == ("error", "conversation-not-found")


def test_an_answer_that_v5_makes_can_be_followed(me: httpx.Client) -> None:
    with me.stream("POST", "/api/v5/chat/stream", json={"message": WORDS}) as answer:
        mine = events(answer)
        copy = Copy(head=next(mine).data)
        copy.resume(me)
    assert copy.text == WORDS
    page = opened(me, copy.head["conversation_id"])
    assert [one["content"] for one in page["messages"]] == [WORDS, WORDS]


def test_a_regenerated_answer_streams_alike(me: httpx.Client) -> None:
    first = asked(me, WORDS)
    copy = Copy()
    path = path_of(first.head).replace("/stream", "/regenerate/stream")
    with me.stream("POST", path, json={"on_disconnect": "continue"}) as answer:
        copy.read(answer, most=3)
    copy.resume(me)
    assert copy.text == WORDS
    assert copy.head["message_id"] != first.head["message_id"]


@pytest.mark.parametrize("after", ["x", "1.5", "-1", "a:b", "1:2:3:4", "9" * 16])
def test_what_is_no_id_of_an_event_is_refused(me: httpx.Client, after: str) -> None:
    path = path_of(asked(me, "hi").head)
    refused(me.get(path, params={"after": after}), 422, "invalid-request", "/after")
    answer = me.get(path, headers={"Last-Event-ID": after})
    refused(answer, 422, "invalid-request", "/header/Last-Event-ID")


def test_an_id_of_another_message_is_refused(me: httpx.Client) -> None:
    one, other = asked(me, "hi").head, asked(me, "hi")
    answer = me.get(path_of(one), headers={"Last-Event-ID": other.last_id})
    refused(answer, 422, "invalid-request", "/header/Last-Event-ID")


def test_only_answers_are_read(me: httpx.Client) -> None:
    head = asked(me, "hi").head
    path = stream_path(head["conversation_id"], head["parent_id"])
    refused(me.get(path), 422, "invalid-request")


def test_what_is_not_there_is_not_found(me: httpx.Client, owner: Any) -> None:
    head = asked(me, "hi").head
    refused(me.get(stream_path(GONE, head["message_id"])), 404, "conversation-not-found")
    refused(me.get(stream_path(head["conversation_id"], GONE)), 404, "message-not-found")
    refused(owner().get(path_of(head)), 404, "conversation-not-found")


def test_errors_before_the_answer_are_answers_of_http(me: httpx.Client) -> None:
    body = {"message": "hi", "model": "nobody"}
    refused(me.post(STREAM, json=body), 404, "model-not-found")
    gone = {"message": "hi", "conversation_id": GONE, "on_disconnect": "continue"}
    refused(me.post(STREAM, json=gone), 404, "conversation-not-found")


def test_an_answer_as_a_whole_has_all_of_its_parts(me: httpx.Client) -> None:
    answer = found(me.post(CHAT, json={"message": "one two"}))
    message = {"role": "assistant", "content": "one two", "thinking": "", "tool_calls": []}
    assert answer["message"] == message
    assert answer["finish_reason"] == "stop"
