"""A server and models in this process answer alike, from any thread and any event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Any

import pytest

from app.client.backend import CHAT, EMBEDDINGS, Backend
from app.client.errors import SLLMError
from app.client.http import HttpBackend
from app.client.in_process import InProcess

HELLO = [{"role": "user", "content": "Hello! What are you?"}]
GREEDY: dict[str, Any] = {"model": "starter", "messages": HELLO, "temperature": 0}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}},
    "required": ["name"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "several": {"n": 2, "seed": 3, "temperature": 1.2, "max_tokens": 8},
    "logprobs": {"logprobs": True, "top_logprobs": 2, "max_tokens": 4},
    "tools": {"tools": [TOOL], "tool_choice": "required", "max_tokens": 60},
    "schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    },
    "template": {"model": "starter@code_assistant", "max_tokens": 8},
}


@pytest.mark.parametrize("kind", CHATS)
def test_whole_answers_are_those_of_a_server(
    kind: str, local: InProcess, remote: HttpBackend
) -> None:
    body = GREEDY | CHATS[kind]
    assert same(local.post(CHAT, body)) == same(remote.post(CHAT, body))


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs each time."""
    usage = {k: v for k, v in answer["usage"].items() if k != "prompt_tokens_details"}
    choices = [_without_ids(choice) for choice in answer["choices"]]
    return {"model": answer["model"], "choices": choices, "usage": usage}


def _without_ids(choice: dict[str, Any]) -> dict[str, Any]:
    for call in choice["message"].get("tool_calls", ()):
        del call["id"]
    for token in (choice["logprobs"] or {}).get("content", ()):
        del token["logprob"], token["top_logprobs"]  # batches differ in the last digits
    return choice


@pytest.mark.parametrize("stream", ["stream", "astream"])
def test_streams_are_those_of_a_server(stream: str, local: InProcess, remote: HttpBackend) -> None:
    body = GREEDY | {"stream": True, "stream_options": {"include_usage": True}}
    here, there = (chunks_of(backend, stream, body) for backend in (local, remote))
    assert text_of(here) == text_of(there) != ""
    assert [c["choices"][0]["finish_reason"] for c in here if c["choices"]][-1] == "stop"
    assert here[-1]["usage"]["completion_tokens"] == there[-1]["usage"]["completion_tokens"] > 0


def chunks_of(backend: Backend, stream: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    if stream == "stream":
        return [*backend.stream(CHAT, body)]

    async def read() -> list[dict[str, Any]]:
        return [chunk async for chunk in backend.astream(CHAT, body)]

    return asyncio.run(read())


def text_of(chunks: Sequence[dict[str, Any]]) -> str:
    deltas = (chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"])
    return "".join(delta.get("content") or "" for delta in deltas)


def test_vectors_are_those_of_a_server(local: InProcess, remote: HttpBackend) -> None:
    body = {"model": "starter-embed", "input": ["A unicorn.", "유니콘"], "input_type": "query"}
    here, there = (backend.post(EMBEDDINGS, body) for backend in (local, remote))
    assert here["usage"] == there["usage"]
    for mine, theirs in zip(here["data"], there["data"], strict=True):
        assert mine["embedding"] == pytest.approx(theirs["embedding"], abs=1e-5)


WRONG: dict[str, dict[str, Any]] = {
    "no such model": {"model": "none"},
    "not a chat model": {"model": "starter-embed"},
    "no such template": {"model": "starter@none"},
    "too long": {"messages": [{"role": "user", "content": "word " * 5000}]},
    "no messages": {"messages": []},
    "too many messages": {"messages": [{"role": "user", "content": "a"}] * 102},
    "not a number": {"temperature": "warm"},
    "unknown field": {"temprature": 1},
    "a schema that cannot be kept": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"not": {}}},
        }
    },
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_those_of_a_server(
    kind: str, stream: bool, local: InProcess, remote: HttpBackend
) -> None:
    body = GREEDY | WRONG[kind] | {"stream": stream}
    here, there = (refusal(backend, body) for backend in (local, remote))
    assert vars(here) == vars(there)
    assert str(here) == str(there) != ""
    assert 400 <= here.status < 500


def refusal(backend: Backend, body: dict[str, Any]) -> SLLMError:
    with pytest.raises(SLLMError) as raised:
        if body["stream"]:
            [*backend.stream(CHAT, body)]
        else:
            backend.post(CHAT, body)
    return raised.value


def test_without_a_server_the_error_says_so() -> None:
    nobody = HttpBackend("http://127.0.0.1:9", None, 5, 0)
    with pytest.raises(SLLMError, match="cannot be reached"):
        nobody.post(CHAT, GREEDY)
    nobody.close()


LONG = GREEDY | {"structured_outputs": {"regex": "[a-z]{3000}"}, "max_tokens": 3000}
"""Many seconds of writing, unless it is stopped."""


def is_idle(local: InProcess) -> bool:
    return all(status.active == 0 for status in local.pool.health().values())


def soon_idle(local: InProcess) -> bool:
    deadline = time.monotonic() + 10
    while not is_idle(local) and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_idle(local)


def test_who_closes_a_stream_stops_the_model(local: InProcess) -> None:
    with closing(local.stream(CHAT, LONG | {"stream": True})) as chunks:
        next(chunks)
        assert not is_idle(local)
    assert soon_idle(local)


async def test_who_closes_an_asynchronous_stream_stops_the_model(local: InProcess) -> None:
    async with aclosing(local.astream(CHAT, LONG | {"stream": True})) as chunks:
        await anext(chunks)
        assert not is_idle(local)
    assert await asyncio.to_thread(soon_idle, local)


async def test_who_is_cancelled_stops_the_model(local: InProcess) -> None:
    task = asyncio.create_task(local.apost(CHAT, LONG))
    while is_idle(local):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(soon_idle, local)


@pytest.mark.parametrize("where", ["local", "remote"])
def test_eight_threads_and_eight_coroutines_at_once(
    where: str, request: pytest.FixtureRequest
) -> None:
    backend: Backend = request.getfixturevalue(where)
    body = GREEDY | {"max_tokens": 12}
    wanted = same(backend.post(CHAT, body))

    async def all_at_once() -> list[dict[str, Any]]:
        return await asyncio.gather(*(backend.apost(CHAT, body) for _ in range(8)))

    with ThreadPoolExecutor(9) as pool:
        coroutines = pool.submit(asyncio.run, all_at_once())
        threads = [pool.submit(backend.post, CHAT, body) for _ in range(8)]
        answers = [*coroutines.result(60), *(thread.result(60) for thread in threads)]
    assert [same(answer) for answer in answers] == [wanted] * 16
