"""Presets with a prompt template: in every dialect, what wins, and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.provider.pool.smoke_test import GREY_PICTURE
from tests.conftest import serving
from tests.http.editing import made
from tests.http.events import parsed
from tests.http.presets import declare, posted, refused
from tests.mcp.connecting import called, connected, refusal

USER = {"role": "user", "content": "hello there"}
FRAMED = "<< hello there >>"
"""Four tokens of echo, after the three of ``Be very brief``."""
TOKENS = 7
TEMPLATE: dict[str, Any] = {
    "system": "Be {{ much }} {{ how }}",
    "user": "<< {{ message }} >>",
    "variables": {
        "how": {"type": "string", "required": True},
        "much": {"type": "string", "required": False, "default": "very"},
    },
    "sampling": {"max_tokens": 4},
    "example": None,
}
PLAIN: dict[str, Any] = {
    "system": "Be brief",
    "user": None,
    "variables": {},
    "sampling": {"max_tokens": 1},
    "example": None,
}
WRONG: dict[str, dict[str, Any]] = {
    "lost": {"template": "nothing"},
    "open": {"template": "framed"},
    "strange": {"template": "framed", "variables": {"how": "brief", "who": "me"}},
    "number": {"template": "framed", "variables": {"how": 3}},
}
REASONS = {
    "lost": "lost: Its template 'nothing' is not here.",
    "open": "framed needs the variable how",
    "strange": "framed has no variable who",
    "number": "how must be a string",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("models")
    named = {"model": "echo", "template": "framed", "variables": {"how": "brief"}}
    declare(folder, "polite", **named)
    declare(folder, "eye", **named | {"model": "echo-vision"}, sampling={"max_tokens": 50})
    declare(folder, "cut", **named, sampling={"max_tokens": 2})
    declare(folder, "instructed", model="echo", template="plain")
    for name, fields in WRONG.items():
        declare(folder, name, model="echo", **fields)
    with serving(models_dir=folder) as client:
        made(client, name="framed", **TEMPLATE)
        made(client, name="plain", **PLAIN)
        made(client, name="other", system="One", user="[ {{ message }} ]", example=None)
        yield client


@pytest.mark.parametrize("version", range(1, 7))
def test_the_api(client: httpx.Client, version: int) -> None:
    route = f"/api/v{version}/chat"
    found = posted(client, route, message="hello there", model="polite")
    assert found["model"] == "polite"
    assert found["message"]["content"] == FRAMED
    assert found["usage"]["prompt_tokens"] == TOKENS
    own = posted(client, route, message="hello there", model="polite", system="Be")
    assert own["usage"]["prompt_tokens"] == TOKENS - 2
    cut = posted(client, route, message="hello there", model="cut")
    assert cut["message"]["content"].strip() == "<< hello"


@pytest.mark.parametrize("version", range(2, 7))
def test_streams_of_the_api(client: httpx.Client, version: int) -> None:
    body = {"message": "hello there", "model": "polite"}
    events = parsed(client.post(f"/api/v{version}/chat/stream", json=body).text)
    assert events[0].data["model"] == "polite"
    assert "".join(one.data["text"] for one in events if one.name == "delta") == FRAMED


@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_a_template_of_the_request_wins(client: httpx.Client, version: int) -> None:
    route = f"/api/v{version}/chat"
    found = posted(client, route, message="hello there", model="polite", template="default")
    assert found["message"]["content"] == "hello there"
    text = refused(client, route, 422, message="a", model="polite", variables={"how": "kind"})
    assert "Variables belong to a template" in text


def test_openais_chat(client: httpx.Client) -> None:
    found = posted(client, "/v1/chat/completions", model="polite", messages=[USER])
    assert found["model"] == "polite"
    assert found["choices"][0]["message"]["content"] == FRAMED
    assert found["usage"]["prompt_tokens"] == TOKENS
    other = posted(client, "/v1/chat/completions", model="polite@other", messages=[USER])
    assert other["model"] == "polite@other"
    assert other["choices"][0]["message"]["content"] == "[ hello there ]"
    assert other["usage"]["prompt_tokens"] == 5
    counted = posted(client, "/v1/tokenize", model="polite", messages=[USER])
    assert counted["count"] == TOKENS
    listed = client.get("/v1/models/polite").json()
    assert (listed["id"], listed["prompt_template"]) == ("polite", None)


def test_a_raw_prompt_has_no_template(client: httpx.Client) -> None:
    found = posted(client, "/v1/completions", model="polite", prompt="hello there")
    assert found["choices"][0]["text"] == "hello there"


def test_openais_responses_take_a_system_text_of_it(client: httpx.Client) -> None:
    found = posted(client, "/v1/responses", model="instructed", input="hello there")
    assert found["model"] == "instructed"
    assert found["output"][0]["content"][0]["text"] == "hello "
    assert found["usage"]["input_tokens"] == 4
    own = {"model": "instructed", "input": "hello there", "instructions": "One"}
    assert posted(client, "/v1/responses", **own)["usage"]["input_tokens"] == 3
    developer = [{"role": "developer", "content": "One"}, USER]
    found = posted(client, "/v1/responses", model="instructed", input=developer)
    assert found["usage"]["input_tokens"] == 3
    text = refused(client, "/v1/responses", 400, model="polite", input="hello there")
    assert "puts text around questions" in text


def test_anthropics_messages(client: httpx.Client) -> None:
    body = {"model": "polite", "messages": [USER]}
    assert posted(client, "/v1/messages/count_tokens", **body) == {"input_tokens": TOKENS}
    found = posted(client, "/v1/messages", **body, max_tokens=50)
    assert found["model"] == "polite"
    assert found["content"][0]["text"] == FRAMED


async def test_the_model_context_protocol(client: httpx.Client) -> None:
    async with connected(client) as mcp:
        assert await called(mcp, "chat", message="hello there", model="polite") == [FRAMED]
        image = base64.b64encode(GREY_PICTURE.content).decode()
        (seen,) = await called(mcp, "describe_image", image=image, question="What?", model="eye")
        assert seen.endswith("<< What? >>")
        assert REASONS["lost"] in await refusal(mcp, "chat", message="hi", model="lost")


def test_a_conversation_keeps_to_the_preset_and_not_to_its_template(client: httpx.Client) -> None:
    first = posted(client, "/api/v6/chat", message="hello there", model="polite")
    here = {"conversation_id": first["conversation_id"]}
    second = posted(client, "/api/v6/chat", message="hello there", **here)
    assert (second["model"], second["message"]["content"]) == ("polite", FRAMED)
    assert second["usage"]["prompt_tokens"] > TOKENS
    again = client.get(f"/api/v6/conversations/{first['conversation_id']}").json()
    assert again["template"] is None
    other = posted(client, "/api/v6/chat", message="hello there", model="echo", **here)
    assert other["message"]["content"] == "hello there"


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_does_not_fit_is_refused_with_a_sentence(client: httpx.Client, name: str) -> None:
    for version in range(1, 7):
        text = refused(client, f"/api/v{version}/chat", 409, message="hi", model=name)
        assert REASONS[name] in text
    for route in ("/v1/chat/completions", "/v1/messages"):
        body = {"model": name, "messages": [USER], "max_tokens": 5}
        answer = client.post(route, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        assert REASONS[name] in answer.text
    assert client.get(f"/v1/models/{name}").json()["id"] == name
