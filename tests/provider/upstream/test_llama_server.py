"""llama.cpp's own server with the starter as the upstream, where LLAMA_SERVER names its program."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import aclosing

import httpx
import pytest
from msgspec import structs

from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.types import (
    Constraint,
    Delta,
    Progress,
    Prompt,
    RawText,
    Started,
    Token,
    Tool,
)
from tests.provider.asking import STARTER, ask, collect, prompt, size, tokens_of, until_idle
from tests.provider.pictures import noise, shown
from tests.provider.upstream.servers import PATIENCE, remote_host
from tests.proxy.nginx import free_ports

PROGRAM = os.environ.get("LLAMA_SERVER", "")
QUESTION = "How do I call API version one?"

pytestmark = [
    pytest.mark.matrix,
    pytest.mark.skipif(not PROGRAM, reason="LLAMA_SERVER names no llama-server"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    (port,) = free_ports(1)
    options = ["--host", "127.0.0.1", "--port", str(port), "-c", "4096", "-np", "2", "-t", "1"]
    process = subprocess.Popen(
        [PROGRAM, "-m", str(STARTER), *options, "--jinja", "-kvu"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    where = f"http://127.0.0.1:{port}"
    try:
        _wait(where, process)
        yield where
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait(where: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, "llama-server did not start"
        try:
            if httpx.get(f"{where}/health", timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("llama-server did not start in time")


async def test_it_answers_counts_and_says_what_was_cached(url: str) -> None:
    host = remote_host(url, "")
    first, again = [await ask(host, QUESTION) for _ in range(2)]
    assert first.text == again.text
    assert first.text
    counted = (await size(host, prompt(QUESTION))).tokens
    assert first.end.usage.prompt_tokens == counted > 0
    assert first.end.usage.completion_tokens > 1
    assert again.end.usage.cached_known
    assert again.end.usage.cached_tokens > 0
    begun = next(one for one in first.events if not isinstance(one, Progress))
    assert isinstance(begun, Started)
    await host.stop()


async def test_hanging_up_frees_its_slots(url: str) -> None:
    host = remote_host(url, "")
    for _ in range(6):
        async with aclosing(host.stream(prompt("word " * 200, max_tokens=3000))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break
    await until_idle(host)
    assert (await ask(host, QUESTION)).text
    await host.stop()


async def test_what_its_table_says(url: str) -> None:
    host = remote_host(url, "")
    schema = json.dumps(
        {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        }
    )
    asked = structs.replace(prompt(QUESTION), constraint=Constraint("json_schema", schema))
    reply = await collect(host.stream(asked))
    assert isinstance(json.loads(reply.text)["n"], int)
    chances = await collect(host.stream(structs.replace(prompt(QUESTION), logprobs=2)))
    found = [one for event in chances.events if isinstance(event, Delta) for one in event.tokens]
    assert found
    assert all(isinstance(one, Token) and one.logprob <= 0 for one in found)
    with pytest.raises(UnsupportedInput, match="The server other keeps to no regular"):
        await collect(host.stream(structs.replace(asked, constraint=Constraint("regex", "a"))))
    made = await tokens_of(host, Prompt((), raw=RawText(QUESTION)))
    assert b"".join(made.pieces).decode().strip() == QUESTION
    with pytest.raises(ContextOverflow) as caught:
        await ask(host, "word " * 20_000)
    assert caught.value.needed > caught.value.limit > 0
    await host.stop()


async def test_tools_that_its_template_does_not_show_are_refused(url: str) -> None:
    """Its server would leave them out without a word, though a call is required."""
    host = remote_host(url, "")
    asked = structs.replace(prompt(QUESTION), tools=(Tool("count", "Counts"),))
    with pytest.raises(UnsupportedInput, match="The server other takes no tools"):
        await collect(host.stream(asked))
    with pytest.raises(UnsupportedInput, match="The server other takes no pictures"):
        await collect(host.stream(shown((noise(8, 8), "What is it?"))))
    await host.stop()
