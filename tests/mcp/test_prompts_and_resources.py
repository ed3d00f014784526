"""Prompt templates as prompts, conversations and API documents as resources, and completion."""

from __future__ import annotations

import json
from typing import Any

import httpx
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from app.dialects.documents import documents
from tests.mcp.connecting import KEYS, MODES, Mode, connected, got, posted

pytestmark = pytest.mark.slow

OWN = {
    "name": "capital",
    "description": {"en": "Names a capital.", "ko": "수도를 말합니다."},
    "system": "Answer in {{ words }} words{% if polite %}, politely{% endif %}.",
    "user": "The capital of {{ message }}?",
    "variables": {
        "words": {"type": "integer", "required": True, "description": "How many words."},
        "polite": {"type": "boolean", "default": False},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _own_template(server: httpx.Client) -> None:
    posted(server, "/api/v4/prompt/templates", **OWN)


@pytest.mark.parametrize("mode", MODES)
async def test_templates_are_prompts(server: httpx.Client, mode: Mode) -> None:
    listed = got(server, "/api/v4/prompt/templates")["templates"]
    async with connected(server, mode) as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert [*prompts] == [template["name"] for template in listed]
        arguments = {one.name: one for one in prompts["capital"].arguments or ()}
        assert [name for name, one in arguments.items() if one.required] == ["message", "words"]
        assert arguments["words"].description == "How many words. (integer)"
        asked = {"message": "Korea", "words": "3", "polite": "true"}
        found = await client.get_prompt("capital", asked)
    (message,) = found.messages
    assert message.role == "user"
    assert isinstance(message.content, types.TextContent)
    assert message.content.text == "Answer in 3 words, politely.\n\nThe capital of Korea?"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("capital", {"message": "Korea"}, "capital needs the variable words"),
        ("capital", {"message": "Korea", "words": "few"}, "words must be an integer"),
        ("capital", {"message": "Korea", "words": "3", "rude": "1"}, "no variable rude"),
        ("capitals", {"message": "Korea"}, "capitals"),
    ],
)
async def test_what_a_prompt_lacks_is_said(
    server: httpx.Client, name: str, arguments: dict[str, str], sentence: str
) -> None:
    async with connected(server) as client:
        with pytest.raises(MCPError, match=sentence) as caught:
            await client.get_prompt(name, arguments)
    assert caught.value.code == types.INVALID_PARAMS


async def test_templates_of_others_are_not_prompts(server: httpx.Client) -> None:
    async with connected(server, key=KEYS[1]) as client:
        names = [prompt.name for prompt in (await client.list_prompts()).prompts]
    assert "capital" not in names
    assert "sql_assistant" in names


@pytest.mark.parametrize("mode", MODES)
async def test_resources_can_be_read(server: httpx.Client, mode: Mode) -> None:
    async with connected(server, mode) as client:
        listed = [one.uri for one in (await client.list_resources()).resources]
        assert [f"sllm://api/{name}.json" for name in documents()] == listed[: len(documents())]
        document = await _json(client, "sllm://api/v4.json")
        assert document == got(server, "/api/v4/openapi.json")
        assert (await _json(client, "sllm://models/starter"))["context_length"] == 4096
        assert (await _json(client, "sllm://templates/capital"))["system"] == OWN["system"]
        shapes = (await client.list_resource_templates()).resource_templates
        assert [one.name for one in shapes] == ["conversation", "document", "model", "template"]


async def _json(client: Any, uri: str) -> Any:
    (content,) = (await client.read_resource(uri)).contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


@pytest.mark.parametrize(("mode", "code"), [("legacy", -32002), ("auto", -32602)])
@pytest.mark.parametrize(
    "uri",
    [
        "sllm://api/v9.json",
        "sllm://models/none",
        "sllm://templates/none",
        "sllm://conversations/none",
        "sllm://keys/all",
        "file:///etc/passwd",
    ],
)
async def test_what_is_not_there_has_the_code_of_the_revision(
    server: httpx.Client, mode: Mode, code: int, uri: str
) -> None:
    async with connected(server, mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.code == code
    assert uri in caught.value.message


async def test_long_lists_have_pages(server: httpx.Client) -> None:
    for number in range(103):
        posted(server, "/api/v4/chat", message=f"number {number}", model="echo")
    async with connected(server) as client:
        first = await client.list_resources()
        assert first.next_cursor
        second = await client.list_resources(cursor=first.next_cursor)
        with pytest.raises(MCPError) as caught:
            await client.list_resources(cursor="elsewhere")
    assert caught.value.code == types.INVALID_PARAMS
    uris = [one.uri for one in (*first.resources, *second.resources)]
    assert len(uris) == len(set(uris)) >= 103 + len(documents())


@pytest.mark.parametrize(
    ("argument", "typed", "found"),
    [
        ("model", "STARTER-E", ["starter-embed"]),
        ("template", "capi", ["capital"]),
        ("document", "v4", ["v4.json"]),
        ("anything", "", []),
    ],
)
async def test_names_are_completed(
    server: httpx.Client, argument: str, typed: str, found: list[str]
) -> None:
    reference = types.ResourceTemplateReference(uri=f"sllm://{argument}s/{{{argument}}}")
    async with connected(server) as client:
        answer = await client.complete(reference, {"name": argument, "value": typed})
    assert answer.completion.values == found
