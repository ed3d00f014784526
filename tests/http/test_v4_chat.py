"""Stored chats over HTTP: what is told, what is kept, and what the model is shown again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.conversations import heartbeat
from tests.conftest import serving
from tests.http.chatting import CHAT, LONG, STREAM, chat, refused, shown_tokens, streamed, wait_for
from tests.http.events import parsed
from tests.http.in_hand import until_busy
from tests.http.test_disconnects import asking
from tests.store import audit
from tests.suspending import suspend

STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def engine_and_client(url: str, empty_models: Path) -> Iterator[tuple[list[int], httpx.Client]]:
    """A server, and the processes that are no engines of it."""
    others = [child.pid for child in psutil.Process().children()]
    large: dict[str, Any] = {"context_length": 10**7, "default_max_tokens": 10**7}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)
        with serving(models_dir=empty_models, database_url=url, **large) as client:
            yield others, client


@pytest.fixture
def client(engine_and_client: tuple[list[int], httpx.Client]) -> httpx.Client:
    return engine_and_client[1]


@pytest.fixture
def engine(engine_and_client: tuple[list[int], httpx.Client]) -> psutil.Process:
    others, client = engine_and_client
    client.post("/api/v1/chat", json={"message": "hi"})
    (engine,) = [child for child in psutil.Process().children() if child.pid not in others]
    return engine


# ---------------------------------------------------------------- what is told and kept


def test_a_stream_says_first_where_it_is_stored(client: httpx.Client, url: str) -> None:
    first, *between, done = streamed(client, "one two three")
    question, answer = audit.messages(url, first.data["conversation_id"])
    assert (first.name, first.id) == ("message", "0")
    assert first.data["id"] == first.data["message_id"] == answer.id
    assert first.data["parent_id"] == question.id == answer.parent_id
    assert (question.content, answer.content) == ("one two three", "one two three")
    deltas = [event.data["text"] for event in between if event.name == "delta"]
    assert "".join(deltas) == answer.content
    assert (done.name, done.data["context"]["prompt_tokens"]) == ("done", 3)


def test_whole_and_streamed_answers_store_the_same(client: httpx.Client, url: str) -> None:
    options = {"system": "Be brief.", "max_tokens": 2}
    whole = chat(client, "one two three", **options)["conversation_id"]
    stream = streamed(client, "one two three", **options)[0].data["conversation_id"]
    names = ("role", "status", "content", "prompt", "model", "finish_reason", "usage", "context")
    kept = [
        [tuple(getattr(row, name) for name in names) for row in audit.messages(url, one)]
        for one in (whole, stream)
    ]
    assert kept[0] == kept[1]
    assert kept[0][1][:4] == ("assistant", "complete", "one two ", None)
    assert kept[0][1][5] == "length"
    one, other = [one for one in audit.conversations(url) if one.id in {whole, stream}]
    assert (one.title, one.setup) == (other.title, other.setup)


def test_earlier_turns_brought_along_are_kept_too(client: httpx.Client, url: str) -> None:
    earlier = [
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "first answer"},
    ]
    answer = chat(client, "second question", history=earlier)
    assert shown_tokens(answer) == 6
    way = audit.require_straight(url, answer["conversation_id"])
    assert [row.content for row in way] == [
        "first question",
        "first answer",
        "second question",
        "second question",
    ]
    assert shown_tokens(chat(client, "go on", conversation_id=answer["conversation_id"])) == 10


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_earlier_versions_store_nothing(client: httpx.Client, url: str, version: str) -> None:
    before = len(audit.messages(url))
    routes = ["chat"] if version == "v1" else ["chat", "chat/stream"]
    for route in routes:
        assert client.post(f"/api/{version}/{route}", json={"message": "hi"}).is_success
    assert len(audit.messages(url)) == before


# ---------------------------------------------------------------- hanging up


def test_hanging_up_in_mid_stream_keeps_what_was_said(client: httpx.Client, url: str) -> None:
    with client.stream("POST", STREAM, json={"message": LONG}) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "event: delta" in text:
                break
    (first, *_) = parsed(text[: text.index("\n\n") + 2])
    kept = wait_for(url, first.data["conversation_id"], "stopped")
    assert kept.id == first.data["message_id"]
    assert 0 < len(kept.content) < len(LONG)
    assert LONG.startswith(kept.content)
    again = chat(client, "go on", conversation_id=first.data["conversation_id"])
    assert shown_tokens(again) == len((LONG + kept.content).split()) + 2


def test_hanging_up_on_a_whole_answer_keeps_what_was_said(
    client: httpx.Client, engine: psutil.Process, url: str
) -> None:
    name = chat(client)["conversation_id"]
    with asking(client, CHAT, LONG, conversation_id=name):
        wait_for(url, name, "generating", text=True)
        suspend(engine)
    engine.resume()
    kept = wait_for(url, name, "stopped")
    assert 0 < len(kept.content) < len(LONG)
    assert LONG.startswith(kept.content)


# ---------------------------------------------------------------- engines that fail


def test_an_engine_killed_in_mid_stream(
    client: httpx.Client, engine: psutil.Process, url: str
) -> None:
    with client.stream("POST", STREAM, json={"message": LONG}) as answer:
        text = ""
        for piece in answer.iter_text():
            if "event: delta" in piece and "event: delta" not in text:
                engine.kill()
            text += piece
    events = parsed(text)
    problem = events[-1].data
    (_, kept) = audit.messages(url, problem["conversation_id"])
    assert (events[-1].name, problem["code"]) == ("error", "engine-unavailable")
    assert problem["message_id"] == kept.id == events[0].data["message_id"]
    assert (kept.status, kept.error) == ("failed", problem["detail"])
    assert kept.content == "".join(one.data["text"] for one in events if one.name == "delta")


def test_an_engine_killed_before_its_first_word(
    client: httpx.Client, engine: psutil.Process, url: str
) -> None:
    name = chat(client, "one")["conversation_id"]
    suspend(engine)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(refused, client, 503, "engine-unavailable", conversation_id=name)
        until_busy(client)
        engine.kill()
        problem = asked.result()
    question, kept = audit.messages(url, name)[2:]
    assert (problem["conversation_id"], problem["message_id"]) == (name, kept.id)
    assert (question.content, kept.status, kept.content) == ("hi", "failed", "")
    again = chat(client, "hi", conversation_id=name)
    assert shown_tokens(again) == 3, "what failed is not shown to the model"
    sibling = audit.messages(url, name)[-2]
    assert (sibling.id, sibling.parent_id) == (again["parent_id"], question.parent_id)


def test_a_model_that_cannot_be_loaded(tmp_path: Path, url: str) -> None:
    broken = STARTER.read_bytes().replace(b"output_norm", b"output_nOrm")
    (tmp_path / "broken.gguf").write_bytes(broken)
    with serving(models_dir=tmp_path, database_url=url) as client:
        name = chat(client, "one two", model="echo")["conversation_id"]
        for route in (CHAT, STREAM):
            asked = {"conversation_id": name, "model": "broken"}
            problem = refused(client, 409, "model-not-loadable", route, **asked)
            kept = audit.messages(url, name)[-1]
            assert (problem["conversation_id"], problem["message_id"]) == (name, kept.id)
            assert (kept.status, kept.model, kept.content) == ("failed", "broken", "")
        answer = chat(client, "three", conversation_id=name, model="echo")
    assert shown_tokens(answer) == 5
    assert [row.content for row in audit.branch(url, name)] == ["one two", "one two"] + [
        "three"
    ] * 2


def test_an_unknown_model_stores_nothing(client: httpx.Client, url: str) -> None:
    before = len(audit.messages(url)), len(audit.conversations(url))
    name = chat(client)["conversation_id"]
    refused(client, 404, "model-not-found", model="unheard-of")
    refused(client, 404, "model-not-found", model="unheard-of", conversation_id=name)
    refused(client, 404, "template-not-found", template="unheard-of")
    after = len(audit.messages(url)), len(audit.conversations(url))
    assert after == (before[0] + 2, before[1] + 1)
    assert chat(client, conversation_id=name)["model"] == "echo"


def test_at_the_end_everything_is_sound(client: httpx.Client, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_sound(url)
