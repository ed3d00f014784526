"""The shipped configuration of nginx before two servers on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.conversations.store.endings import ABANDONED
from tests.http.chatting import CHAT, LONG, STREAM, chat, wait_for
from tests.http.events import parsed
from tests.http.vision import CHAT as VISION
from tests.http.vision import picture, problem, sent
from tests.mcp.wire import INITIALIZE, legacy, modern
from tests.postgres import Cluster
from tests.proxy import nginx
from tests.proxy.site import Site, load_engine, of_size, running
from tests.store import audit
from tests.store.test_many import lease_until

pytestmark = pytest.mark.matrix

LIMIT = 33_554_432
"""MAX_VISION_REQUEST_BYTES."""
JSON = {"Content-Type": "application/json"}
OPENAI = "/v1/chat/completions"
QUESTION = {"messages": [{"role": "user", "content": "never said"}], "model": "echo"}
TOOL: dict[str, Any] = {"name": "chat", "arguments": {"message": "hi", "model": "echo"}}


@pytest.fixture(scope="module")
def site(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        nginx.program()
    except nginx.NotInstalled as error:
        pytest.skip(str(error))
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    with (
        postgres.database("proxied") as url,
        running(url, folders, STREAM_PATIENCE_SECONDS="0") as site,
    ):
        yield site


@pytest.fixture
def mortal(site: Site) -> Iterator[Site]:
    """Its servers may be killed; the next test finds them alive again."""
    yield site
    for server in site.servers:
        if not server.is_running:
            server.start()
            load_engine(server)


def test_two_servers_that_start_at_once_share_one_new_database(site: Site) -> None:
    for server in site.servers:
        assert server.asked("/health").json()["status"] == "ok"
    names = [chat(site.client, "hi")["conversation_id"] for _ in range(4)]
    for server in site.servers:
        listed = server.asked("/api/v4/conversations").json()["conversations"]
        assert {one["id"] for one in listed} >= set(names)


def test_a_stream_is_not_held_back(site: Site) -> None:
    """What has come while the engine stands still is not the end of an answer, sent at once."""
    with (
        site.standing_still(),
        site.client.stream("POST", STREAM, json={"message": "one two"}) as answer,
    ):
        pieces = answer.iter_text()
        text = next(pieces)
        site.wait_until(0, 1)
        for engine in site.engines():
            engine.resume()
        text += "".join(pieces)
    events = parsed(text)
    assert events[-1].name == "done"
    assert "".join(one.data["text"] for one in events if one.name == "delta") == "one two"


def test_the_largest_body_gets_through(site: Site) -> None:
    body = of_size(LIMIT, message="hi", model="echo-vision", images=[sent(picture())])
    answer = site.client.post(VISION, content=body, headers=JSON)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2_000_000])
def test_a_larger_one_is_refused_whoever_refuses_it(site: Site, size: int) -> None:
    body = of_size(size, message="hi", model="echo-vision", images=[sent(picture())])
    answer = site.client.post(VISION, content=body, headers=JSON)
    assert problem(answer) == (413, "request-too-large")


def test_what_the_proxy_refuses_has_the_form_of_openai_too(site: Site) -> None:
    answer = site.client.post(OPENAI, content=of_size(LIMIT + 2_000_000), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request-too-large"


@pytest.mark.parametrize(
    ("route", "request_"),
    [
        (STREAM, {"json": {"message": "never said"}}),
        (CHAT, {"json": {"message": "never said"}}),
        (OPENAI, {"json": QUESTION}),
        ("/mcp", modern("tools/call", **TOOL)),
    ],
    ids=["stream", "whole", "openai", "mcp"],
)
def test_hanging_up_reaches_the_engine(site: Site, route: str, request_: Any) -> None:
    with site.standing_still():
        with site.asking(route, **request_):
            site.wait_until(0, 1)
        site.wait_until(0, 0)


def test_requests_are_divided_among_the_servers(site: Site) -> None:
    with site.standing_still():
        with site.asking(STREAM, json={"message": "a"}), site.asking(STREAM, json={"message": "b"}):
            site.wait_until(1, 1)
        site.wait_until(0, 0)


def test_the_messages_of_an_agent_reach_the_server_that_it_means(site: Site) -> None:
    """The server that has nothing to do, which would otherwise get it, does not know the call."""
    session = {"mcp-session-id": site.client.post("/mcp", **INITIALIZE).headers["mcp-session-id"]}
    note = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    }
    asked = legacy("tools/call", **TOOL)
    headers = asked["headers"] | session
    with site.standing_still(), site.asking("/mcp", json=asked["json"], headers=headers):
        site.wait_until(0, 1)
        assert site.client.post("/mcp", json=note, headers=headers).status_code == 202
        site.wait_until(0, 0)


def test_pages_of_the_server_itself_may_use_it(site: Site) -> None:
    address = str(site.client.base_url).rstrip("/")
    found = [
        site.client.post(CHAT, headers={"Origin": origin}, json={"message": "hi"}).status_code
        for origin in (address, "http://another.example")
    ]
    assert found == [200, 403]


def test_a_killed_server_is_passed_over(mortal: Site) -> None:
    name = chat(mortal.client, "before")["conversation_id"]
    mortal.servers[0].kill()
    for number in range(12):
        body = {"message": f"turn {number}", "conversation_id": name}
        answer = mortal.client.post(CHAT, json=body)
        assert answer.status_code == 200, answer.text
    stored = audit.require_straight(mortal.database_url, name)
    assert [row.content for row in stored[::2]] == ["before", *(f"turn {n}" for n in range(12))]


def test_an_answer_that_its_server_leaves_behind_is_ended_by_the_other(mortal: Site) -> None:
    url = mortal.database_url
    name = chat(mortal.client, "begin")["conversation_id"]
    body = {"message": LONG, "conversation_id": name}
    with (
        pytest.raises(httpx.TransportError),
        mortal.client.stream("POST", STREAM, json=body) as answer,
    ):
        for piece in answer.iter_text():
            if "event: delta" in piece and mortal.is_whole:
                with mortal.standing_still():  # or it might be through before it is killed
                    wait_for(url, name, "generating", text=True)
                    mortal.kill_the_busy_one()
    lease_until(url, 0)
    kept = wait_for(url, name, "failed", text=True)
    assert (kept.error, LONG.startswith(kept.content)) == (ABANDONED, True)
    shown = mortal.client.get(f"/api/v4/conversations/{name}").json()["messages"][-1]
    assert (shown["id"], shown["status"]) == (kept.id, "failed")
    assert chat(mortal.client, "again", conversation_id=name)["message"]["content"] == "again"


def test_a_question_that_was_sent_is_not_sent_again(mortal: Site) -> None:
    with mortal.standing_still(), mortal.asking(CHAT, json={"message": "only once"}) as raw:
        mortal.kill_the_busy_one()
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
            if b"server-unreachable" in answer:
                break
    assert answer.startswith(b"HTTP/1.1 502")
    rows = audit.messages(mortal.database_url)
    assert len([row for row in rows if row.content == "only once"]) == 1
