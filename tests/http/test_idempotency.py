"""A request that is sent again with the same Idempotency-Key, in every version and dialect."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.web import recorded_response
from tests.conftest import serving
from tests.http.editing import MINE, PATH
from tests.http.events import parsed
from tests.http.in_hand import until_busy, until_idle
from tests.http.owners import KEYS, client
from tests.http.test_metrics import scraped
from tests.http.vision import picture, sent
from tests.selection import matrix
from tests.store import audit
from tests.suspending import standing_still
from tests.workers.serving import command_of

HEADER = "Idempotency-Key"
NEW = itertools.count()

ANTHROPIC = {"max_tokens": 100, "messages": [{"role": "user", "content": "one two three"}]}
OPENAI = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}

GENERATING: dict[str, tuple[str, dict[str, Any]]] = {
    "v1": ("/api/v1/chat", {"message": "one two three"}),
    "v2-stream": ("/api/v2/chat/stream", {"message": "one two three"}),
    "v3": ("/api/v3/chat", {"message": "one two three"}),
    "v3-stream": ("/api/v3/chat/stream", {"message": "one two three"}),
    "v4": ("/api/v4/chat", {"message": "one two three"}),
    "v4-stream": ("/api/v4/chat/stream", {"message": "one two three"}),
    "v5": ("/api/v5/chat", {"message": "one two three"}),
    "v5-stream": ("/api/v5/chat/stream", {"message": "one two three"}),
    "v5-vision": ("/api/v5/vision/chat", {"message": "what?", "images": [sent(picture())]}),
    "v6": ("/api/v6/chat", {"message": "one two three"}),
    "v6-stream": ("/api/v6/chat/stream", {"message": "one two three"}),
    "v6-background": ("/api/v6/chat", {"message": "one two three", "background": True}),
    "openai": ("/v1/chat/completions", OPENAI),
    "openai-stream": ("/v1/chat/completions", OPENAI | {"stream": True}),
    "openai-text": ("/v1/completions", {"model": "echo", "prompt": "one two three"}),
    "openai-response": ("/v1/responses", {"model": "echo", "input": "one two three"}),
    "anthropic": ("/v1/messages", ANTHROPIC),
    "anthropic-stream": ("/v1/messages", ANTHROPIC | {"stream": True}),
    "tool": ("/tool/generate_hyperclovax_vision", {"prompt": "one two three"}),
    "tool-stream": ("/tool/generate_hyperclovax_vision_stream", {"prompt": "one two three"}),
}
"""Name → path and body."""

DIALECTS = {
    "v1": GENERATING["v1"],
    "openai": GENERATING["openai"],
    "anthropic": GENERATING["anthropic"],
    "tool": GENERATING["tool"],
}


@pytest.fixture(scope="module")
def server(empty_models: Path, shared_database_url: str) -> Iterator[httpx.Client]:
    with serving(
        models_dir=empty_models,
        database_url=shared_database_url,
        api_keys=KEYS[:2],
        cors_origins=["https://pages.example"],
        stream_patience_seconds=0,  # a stream says 200 before the engine does
    ) as server:
        yield server


@pytest.fixture(scope="module")
def me(server: httpx.Client) -> Iterator[httpx.Client]:
    with client(server, KEYS[0]) as me:
        yield me


@pytest.fixture
def key() -> dict[str, str]:
    """The header with a key that was never used."""
    return {HEADER: f"key-{next(NEW)}"}


def runs(me: httpx.Client) -> float:
    """How many requests the engines have answered; those that an earlier test left do not count."""
    found = scraped(me).items()
    return sum(
        value
        for (name, labels), value in found
        if name == "sllm_requests_total" and ("outcome", "stop") in labels
    )


def replayed(answer: httpx.Response) -> bool:
    return "idempotent-replayed" in answer.headers


def kept_headers(answer: httpx.Response) -> dict[str, str]:
    """Those that the answer to a request sent again has too."""
    own = {"date", "x-request-id", "idempotent-replayed"}
    return {name: value for name, value in answer.headers.items() if name not in own}


def require_same(first: httpx.Response, second: httpx.Response) -> None:
    """The second answer is the first one again, and says so."""
    assert first.is_success, first.text
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert kept_headers(second) == kept_headers(first)
    assert (replayed(first), replayed(second)) == (False, True)


def code(answer: httpx.Response) -> str:
    """The code of an error in whatever form; Anthropic's has none but its type."""
    body = answer.json()
    error = body.get("error")
    found = (error.get("code") or error.get("type")) if isinstance(error, dict) else body["code"]
    return str(found).replace("_", "-")


def engines() -> list[psutil.Process]:
    """The engine processes of the server."""
    every = psutil.Process().children()
    return [one for one in every if "app.provider.runtime.worker" in command_of(one)]


@contextmanager
def paused(me: httpx.Client) -> Iterator[None]:
    """While the engine stands still: no answer comes to its end. All have ended afterwards."""
    me.post("/api/v1/chat", json={"message": "hi"})  # which loads the model
    stopped = engines()
    assert stopped
    with standing_still(*stopped):
        yield
    until_idle(me)


def until_run(me: httpx.Client, count: float) -> None:
    """Until the engines have answered so many requests, and have nothing more in hand."""
    deadline = time.monotonic() + 60
    while runs(me) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    until_idle(me)


@contextmanager
def being_answered(
    me: httpx.Client, path: str, body: dict[str, Any], key: dict[str, str]
) -> Iterator[Iterator[str]]:
    """While a stream has begun that does not end; gives what comes of it.

    A 200 says only that the server has taken it: one that breaks off must have reached the engine.
    """
    with paused(me), me.stream("POST", path, json=body, headers=key) as answer:
        assert answer.status_code == 200
        until_busy(me)
        yield answer.iter_text()


def until(answer: Callable[[], httpx.Response], text: str) -> httpx.Response:
    """Ask until the answer succeeds and has this text."""
    deadline = time.monotonic() + 60
    while not (found := answer()).is_success or text not in found.text:
        assert time.monotonic() < deadline, found.text
        time.sleep(0.02)
    return found


def until_released(url: str, key: dict[str, str]) -> None:
    """Until the server has noticed that nobody waits for the answer."""
    deadline = time.monotonic() + 60
    while key[HEADER] in {row["key"] for row in audit.table(url, "idempotency_keys")}:
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---------------------------------------------------------------- the same answer


@pytest.mark.parametrize("name", sorted(GENERATING))
def test_a_request_that_is_sent_again_is_answered_once(
    me: httpx.Client, key: dict[str, str], name: str
) -> None:
    path, body = GENERATING[name]
    before = runs(me)
    first = me.post(path, json=body, headers=key)
    second = me.post(path, json=body, headers=key)
    require_same(first, second)
    until_run(me, before + 1)  # one in the background is made in its own time
    assert runs(me) == before + 1
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_without_a_key_each_request_is_answered(me: httpx.Client) -> None:
    before = runs(me)
    for _ in range(2):
        assert not replayed(me.post("/api/v1/chat", json={"message": "hi"}))
    assert runs(me) == before + 2


def test_a_message_of_a_conversation_is_stored_once(me: httpx.Client, key: dict[str, str]) -> None:
    conversation = me.post("/api/v5/chat", json={"message": "hi"}).json()["conversation_id"]
    body = {"message": "again", "conversation_id": conversation}
    answers = [me.post("/api/v5/chat", json=body, headers=key) for _ in range(5)]
    assert len({answer.content for answer in answers}) == 1
    stored = me.get(f"/api/v5/conversations/{conversation}").json()["messages"]
    assert [one["content"] for one in stored] == ["hi", "hi", "again", "again"]


def test_what_is_created_is_created_once(me: httpx.Client, key: dict[str, str]) -> None:
    """An answer with a status and a header of its own, and one to a request without a body."""
    template = MINE | {"name": f"t-{key[HEADER]}"}
    made = [me.post(PATH, json=template, headers=key) for _ in range(2)]
    require_same(*made)
    assert made[1].status_code == 201
    name = template["name"]
    path = f"{PATH}/{name}/versions/1/restore"
    restored = [me.post(path, headers={HEADER: f"r-{name}"}) for _ in range(2)]
    require_same(*restored)


def test_the_line_between_the_parts_of_a_form_does_not_count(
    me: httpx.Client, key: dict[str, str]
) -> None:
    """Clients make up a new one whenever they send."""
    files = [("images", ("a.png", picture()))]
    path, fields = "/api/v5/vision/chat", {"message": "What is it?"}
    first = me.post(path, data=fields, files=files, headers=key)
    second = me.post(path, data=fields, files=files, headers=key)
    require_same(first, second)
    assert first.request.headers["content-type"] != second.request.headers["content-type"]
    other = me.post(path, data={"message": "Why?"}, files=files, headers=key)
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")


# ---------------------------------------------------------------- another request


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_another_request_may_not_have_the_key(
    me: httpx.Client, key: dict[str, str], name: str
) -> None:
    path, body = DIALECTS[name]
    assert me.post(path, json=body, headers=key).is_success
    for where, changed in ((path, body | {"temperature": 0.5}), (f"{path}?a=1", body)):
        answer = me.post(where, json=changed, headers=key)
        assert answer.status_code == 422
        assert code(answer) in {"idempotency-key-reused", "invalid-request-error"}
        assert "Idempotency-Key" in answer.text
    assert replayed(me.post(path, json=body, headers=key))


def test_versions_do_not_share_keys(me: httpx.Client, key: dict[str, str]) -> None:
    assert me.post("/api/v1/chat", json={"message": "hi"}, headers=key).is_success
    other = me.post("/api/v3/chat", json={"message": "hi"}, headers=key)
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")


def test_a_key_belongs_to_its_owner(
    server: httpx.Client, me: httpx.Client, key: dict[str, str]
) -> None:
    with client(server, KEYS[1]) as somebody:
        assert me.post("/api/v1/chat", json={"message": "mine"}, headers=key).is_success
        theirs = somebody.post("/api/v1/chat", json={"message": "theirs"}, headers=key)
        assert theirs.json()["message"]["content"] == "theirs"
        assert not replayed(theirs)


@pytest.mark.parametrize("given", ["", "a b", "ü", "a" * 256, "\x7f"])
@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_key_that_is_none_is_refused_in_the_form_of_the_dialect(
    me: httpx.Client, name: str, given: str
) -> None:
    path, body = DIALECTS[name]
    answer = me.post(path, json=body, headers={HEADER.encode(): given.encode("latin-1")})
    assert answer.status_code == 400
    assert code(answer) in {"invalid-idempotency-key", "invalid-request-error"}
    assert "255 visible" in answer.text


def test_two_keys_are_refused(me: httpx.Client) -> None:
    twice = [(HEADER, "a"), (HEADER, "b")]
    answer = me.post("/api/v1/chat", json={"message": "hi"}, headers=twice)
    assert (answer.status_code, code(answer)) == (400, "invalid-idempotency-key")


def test_the_longest_key_is_one(me: httpx.Client) -> None:
    longest = {HEADER: "!~" + "x" * 253}
    require_same(
        *(me.post("/api/v1/chat", json={"message": "hi"}, headers=longest) for _ in range(2))
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v4/conversations", None),
        ("POST", "/api/v4/tokens", {"message": "hi"}),
        ("POST", "/v1/messages/count_tokens", {"messages": ANTHROPIC["messages"]}),
        ("POST", "/v1/tokenize", {"prompt": "hi"}),
    ],
)
def test_requests_that_create_nothing_ignore_the_header(
    me: httpx.Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answers = [me.request(method, path, json=body, headers={HEADER: "not a key"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(map(replayed, answers))


def test_pages_of_other_origins_may_send_it_and_see_the_answer(
    me: httpx.Client, key: dict[str, str]
) -> None:
    origin = {"Origin": "https://pages.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": HEADER}
    allowed = me.options("/api/v1/chat", headers=origin | asked)
    assert HEADER.lower() in allowed.headers["access-control-allow-headers"].lower()
    answer = me.post("/api/v1/chat", json={"message": "hi"}, headers=origin | key)
    assert "Idempotent-Replayed" in answer.headers["access-control-expose-headers"]


def test_the_header_can_be_switched_off(empty_models: Path, key: dict[str, str]) -> None:
    with serving(models_dir=empty_models, idempotency_mb=0) as server:
        for message in ("one", "two"):
            answer = server.post("/api/v1/chat", json={"message": message}, headers=key)
            assert answer.json()["message"]["content"] == message


# ---------------------------------------------------------------- while the first one runs


@pytest.mark.parametrize("name", ["openai-stream", "v2-stream", "v5-stream"])
def test_while_the_first_one_runs_the_second_one_is_told_to_wait(
    me: httpx.Client, key: dict[str, str], name: str
) -> None:
    path, body = GENERATING[name]
    with being_answered(me, path, body, key):
        answer = me.post(path, json=body, headers=key)
        assert (answer.status_code, code(answer)) == (409, "idempotency-key-in-use")
        assert answer.headers["retry-after"] == "1"
        assert "x-should-retry" not in answer.headers  # so SDKs try again


def test_fifty_at_once_are_one_run(me: httpx.Client, key: dict[str, str]) -> None:
    before = runs(me)
    body = {"message": "one two three " * 200}

    def ask() -> httpx.Response:
        return until(lambda: me.post("/api/v4/chat", json=body, headers=key), "three")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(), range(50)))
    assert len({answer.content for answer in answers}) == 1
    assert sum(not replayed(answer) for answer in answers) == 1
    assert runs(me) == before + 1


# ---------------------------------------------------------------- what failed runs again


def test_an_error_is_not_kept(me: httpx.Client, key: dict[str, str]) -> None:
    for body in ({"message": "hi", "model": "nobody"}, {"wrong": 1}):
        for _ in range(2):
            answer = me.post("/api/v1/chat", json=body, headers=key)
            assert answer.status_code in {404, 422}
            assert not replayed(answer)
    first = me.post("/api/v1/chat", json={"message": "hi"}, headers=key)
    require_same(first, me.post("/api/v1/chat", json={"message": "hi"}, headers=key))


@pytest.mark.parametrize("name", ["v2-stream", "v4-stream"])
def test_what_a_client_stopped_by_hanging_up_runs_again(
    me: httpx.Client, shared_database_url: str, key: dict[str, str], name: str
) -> None:
    path, body = GENERATING[name]
    with paused(me):
        with me.stream("POST", path, json=body, headers=key) as first:
            assert first.status_code == 200
        until_released(shared_database_url, key)
    answer = me.post(path, json=body, headers=key)
    assert not replayed(answer)
    assert parsed(answer.text)[-1].name == "done"


def test_an_answer_that_goes_on_without_its_client_is_for_the_next_one(
    me: httpx.Client, key: dict[str, str]
) -> None:
    path = "/api/v6/chat/stream"
    body = {"message": "one two three " * 300, "max_tokens": 900, "on_disconnect": "continue"}
    with paused(me), me.stream("POST", path, json=body, headers=key) as answer:
        assert answer.status_code == 200
    again = until(lambda: me.post(path, json=body, headers=key), "done")
    assert replayed(again)
    events = parsed(again.text)
    text = "".join(event.data["text"] for event in events if event.name == "delta")
    assert text.split() == ["one", "two", "three"] * 300
    conversation = me.get(f"/api/v6/conversations/{events[0].data['conversation_id']}").json()
    assert len(conversation["messages"]) == 2


def test_a_response_in_the_background_that_nobody_follows_is_for_the_next_one(
    me: httpx.Client, key: dict[str, str]
) -> None:
    path = "/v1/responses"
    words = "one two three " * 300
    body = {"model": "echo", "input": words, "background": True, "stream": True}
    with paused(me), me.stream("POST", path, json=body, headers=key) as answer:
        assert answer.status_code == 200
    again = until(lambda: me.post(path, json=body, headers=key), "response.completed")
    assert replayed(again)


def test_an_outcome_that_is_too_large_is_not_kept(
    me: httpx.Client, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_response, "MAX_OUTCOME_BYTES", 1000)
    for length in (2000, 100, 100):
        answer = me.post("/api/v1/chat", json={"message": "x" * length}, headers=key)
        assert answer.json()["message"]["content"] == "x" * length
    assert replayed(answer)


@pytest.mark.parametrize("path", ["/api/v4/chat/stream", "/api/v4/chat"])
def test_an_answer_that_was_stopped_runs_again(
    me: httpx.Client, key: dict[str, str], path: str
) -> None:
    conversation = me.post("/api/v4/chat", json={"message": "hi"}).json()["conversation_id"]
    body = {"message": "one two three", "conversation_id": conversation}
    with paused(me), ThreadPoolExecutor(1) as pool:
        asking = pool.submit(me.post, path, json=body, headers=key)
        while not asking.done():
            me.post(f"/api/v4/conversations/{conversation}/stop")
            time.sleep(0.02)
        stopped = asking.result()
    assert stopped.status_code == 200
    assert '"cancelled"' in stopped.text
    answer = me.post(path, json=body, headers=key)
    assert answer.status_code == 200, answer.text
    assert not replayed(answer)
    assert '"cancelled"' not in answer.text


@pytest.mark.parametrize(
    "name", ["openai-stream", "v4-stream", *matrix("anthropic-stream", "v2-stream")]
)
def test_a_stream_that_broke_off_runs_again(
    me: httpx.Client, key: dict[str, str], name: str
) -> None:
    path, body = GENERATING[name]
    with being_answered(me, path, body, key) as pieces:
        for engine in engines():
            engine.kill()
        assert "error" in "".join(pieces)
    again = until(lambda: me.post(path, json=body, headers=key), "three")
    assert not replayed(again)
