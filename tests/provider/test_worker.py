"""What an engine's code raises while it works costs its job, or ends the process: no hanging."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from app.provider.engine import EngineLimits, EngineSpec
from app.provider.errors import EngineUnavailable, ProviderError, UnsupportedInput
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Prompt
from tests.provider.asking import ask, prompt, size
from tests.provider.failing.engine import Unreadable


@pytest.fixture
async def host() -> AsyncIterator[EngineHost]:
    """An engine that hangs is restarted soon, which the tests would see."""
    spec = EngineSpec("tests.provider.failing", "", EngineLimits())
    host = EngineHost(spec, HostPolicy(stall_seconds=10))
    yield host
    await host.stop()


@pytest.mark.parametrize("text", ["error", "panic"])
async def test_an_error_while_preparing_costs_its_own_request_only(
    host: EngineHost, text: str
) -> None:
    with pytest.raises(ProviderError, match="could not prepare"):
        await size(host, prompt(text))
    with pytest.raises(ProviderError, match="could not prepare"):
        await ask(host, text)
    assert (await size(host, prompt("one two"))).tokens == 2
    assert (await ask(host, "one two")).text == "one two"
    assert host.status().restarts == 0


async def test_a_refusal_in_the_words_of_a_file_can_be_stored_and_sent(host: EngineHost) -> None:
    for asking in (size(host, prompt("refusal")), ask(host, "refusal")):
        with pytest.raises(UnsupportedInput) as refused:
            await asking
        assert str(refused.value) == "a\ufffdb \ufffd c"


async def test_an_error_in_a_step_ends_the_process_and_says_so(host: EngineHost) -> None:
    with pytest.raises(EngineUnavailable, match="exit code 1"):
        await ask(host, "step")
    assert (await ask(host, "one two")).text == "one two"
    assert host.status().restarts == 1


async def test_a_message_that_cannot_be_read_ends_the_process(host: EngineHost) -> None:
    await ask(host, "one")
    broken = prompt("one", owner=cast("str", Unreadable()))
    with pytest.raises(EngineUnavailable, match="exit code 1"):
        await size(host, broken)
    assert (await ask(host, "one two")).text == "one two"


async def test_a_reply_that_cannot_be_read_ends_the_process(
    host: EngineHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_reader: object) -> Prompt:
        raise ValueError("no such thing")

    monkeypatch.setattr("app.provider.runtime.messages.read", broken)
    with pytest.raises(ProviderError):
        await ask(host, "one")
    monkeypatch.undo()
    assert (await ask(host, "one two")).text == "one two"
