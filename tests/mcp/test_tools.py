"""The tools, called by the official client, give what REST gives."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.mcp.connecting import KEYS, MODES, Mode, called, connected, data, posted, refusal
from tests.mcp.every_tool import DOCUMENTS, NAMES, PICTURE, call_every_tool
from tests.mcp.stopping import ENDLESS, EchoServer

pytestmark = pytest.mark.slow

COLD = {"temperature": 0.0, "max_tokens": 12}


@pytest.mark.parametrize("mode", MODES)
async def test_there_are_these_tools_and_their_schemas_are_flat(
    server: httpx.Client, mode: Mode
) -> None:
    """Hosts refuse or cut what refers to something else or leaves a choice."""
    async with connected(server, mode) as client:
        assert client.protocol_version == {"legacy": "2025-11-25", "auto": "2026-07-28"}[mode]
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == NAMES
    for tool in tools:
        assert tool.output_schema is None
        assert tool.description
        assert tool.title
        for schema in tool.input_schema["properties"].values():
            assert schema["type"] in {"string", "integer", "number", "array"}
            assert schema["description"]
            assert schema.get("items", {"type": "string"})["type"] == "string"
            assert not schema.keys() & {"$ref", "anyOf", "oneOf", "allOf", "title"}
        assert "$defs" not in tool.input_schema


@pytest.mark.parametrize("mode", MODES)
async def test_every_tool_can_be_called(server: httpx.Client, mode: Mode) -> None:
    async with connected(server, mode) as client:
        await call_every_tool(client, server)


async def test_a_chat_is_answered_as_by_rest(server: httpx.Client) -> None:
    rest = posted(server, "/api/v1/chat", message="What is the sun?", model="starter", **COLD)
    async with connected(server) as client:
        found = await called(client, "chat", message="What is the sun?", model="starter", **COLD)
        assert found[0] == rest["message"]["content"]
        assert rest["finish_reason"] == "length"
        assert found[1:] == ["[The answer was cut off: it reached max_tokens.]"]
        system = await called(client, "chat", message="hi", system="Be kind.", model="echo")
        assert system == ["hi"]
        assert "hi" in (await called(client, "chat", message="hi", model="echo@default"))[0]


async def test_a_picture_is_described_as_by_rest(server: httpx.Client) -> None:
    images = [{"base64": PICTURE}]
    rest = posted(
        server, "/api/v5/vision/chat", message="What is it?", images=images, system="", **COLD
    )
    async with connected(server) as client:
        found = await called(
            client, "describe_image", image=PICTURE, question="What is it?", **COLD
        )
    assert found[0] == rest["message"]["content"]


async def test_vectors_and_ranks_are_those_of_rest(server: httpx.Client) -> None:
    vectors = posted(server, "/v1/embeddings", input=DOCUMENTS)
    ranked = posted(server, "/v1/rerank", query="a circle", documents=DOCUMENTS, top_n=2)
    async with connected(server) as client:
        assert await data(client, "embed", texts=DOCUMENTS) == vectors
        found = await data(client, "rerank", query="a circle", documents=DOCUMENTS, top_n=2)
    assert found == {name: ranked[name] for name in ("model", "results", "usage")}
    assert found["results"][0]["index"] == 0


async def test_tokens_are_counted_as_by_rest(server: httpx.Client) -> None:
    rest = posted(server, "/v1/tokenize", prompt="one two three", model="starter")
    async with connected(server) as client:
        found = await data(client, "count_tokens", text="one two three", model="starter")
        models = (await data(client, "list_models"))["models"]
    assert found == {
        "model": "starter",
        "count": rest["count"],
        "max_model_len": rest["max_model_len"],
    }
    assert {"starter", "starter-embed", "echo"} <= {model["id"] for model in models}


async def test_an_owner_reads_nothing_of_another(server: httpx.Client) -> None:
    asked = posted(server, "/api/v4/chat", message="my platypus", model="echo")
    conversation = asked["conversation_id"]
    async with connected(server) as mine, connected(server, key=KEYS[1]) as theirs:
        (found,) = (await data(mine, "search_conversations", query="platypus"))["conversations"]
        assert (found["id"], found["snippet"]) == (conversation, "my platypus")
        assert await data(theirs, "search_conversations", query="platypus") == {"conversations": []}
        read = await data(mine, "read_conversation", conversation_id=conversation)
        assert [one["content"] for one in read["messages"]] == ["my platypus", "my platypus"]
        sentence = await refusal(theirs, "read_conversation", conversation_id=conversation)
        assert conversation in sentence
        uri = f"sllm://conversations/{conversation}"
        assert "my platypus" in str((await mine.read_resource(uri)).contents)
        assert uri in {one.uri for one in (await mine.list_resources()).resources}
        assert uri not in {one.uri for one in (await theirs.list_resources()).resources}
        with pytest.raises(Exception, match="no resource"):
            await theirs.read_resource(uri)


MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such tool": ("chatter", {}, "There is no tool 'chatter'"),
    "a missing argument": ("chat", {}, "message: Field required"),
    "an unknown one": ("chat", {"message": "hi", "n": 2}, "n: Extra inputs"),
    "a wrong type": ("embed", {"texts": "one"}, "texts: Input should be a valid list"),
    "no such model": ("chat", {"message": "hi", "model": "gpt-5"}, "gpt-5"),
    "a model of another kind": ("embed", {"texts": ["hi"], "model": "echo"}, "echo makes no"),
    "no picture": ("describe_image", {"image": "####"}, "not valid base64"),
    "too long": ("chat", {"message": "a " * 9000, "model": "starter"}, "tokens"),
    "nothing to look for": ("search_conversations", {"query": "…"}, "a letter or a digit"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_a_result_that_says_so(server: httpx.Client, mistake: str) -> None:
    tool, arguments, sentence = MISTAKES[mistake]
    async with connected(server) as client:
        assert sentence in await refusal(client, tool, **arguments)


@pytest.mark.parametrize("mode", MODES)
async def test_progress_is_said_at_once_and_grows(echo_server: EchoServer, mode: Mode) -> None:
    """It does not wait for the engine."""
    seen: list[float] = []
    first = asyncio.Event()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        assert message
        seen.append(progress)
        first.set()

    async with connected(echo_server.client, mode) as client:
        with echo_server.standing_still():
            calling = asyncio.create_task(
                client.call_tool("chat", ENDLESS, progress_callback=progressed)
            )
            await asyncio.wait_for(first.wait(), 60)
        await calling
    assert seen == sorted(set(seen))
