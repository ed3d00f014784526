"""Models that cannot be loaded are refused at once, without a new process, until they change."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from app.provider.errors import EngineUnavailable, ModelNotLoadable
from app.provider.pool.pool import ModelPool
from tests.provider.asking import STARTER, collect, prompt
from tests.provider.scripted import CHATML, CONTROL, make
from tests.provider.test_pool import SMALL, pool_of, until

pytestmark = pytest.mark.slow

BROKEN = "{% if %}"


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ModelPool]:
    """Three sound models, and ``bad`` whose chat template does not compile."""
    write(tmp_path / "bad.gguf", BROKEN)
    async with pool_of(tmp_path, limits=SMALL) as pool:
        pool.cards()
        yield pool


def write(path: Path, template: str = CHATML) -> Path:
    """A model that answers "Hi", put into its place at once, as a new file."""
    script = ["H", "i", "<|im_end|>"]
    made = make(path.with_suffix(".new"), template, script, CONTROL, eos="<|im_end|>")
    return made.replace(path)


class Starts:
    """Counts the engine processes that have ended, by what the log says of each."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self._log = log
        log.set_level(logging.DEBUG, "app.provider.runtime.engine_process")

    @property
    def ended(self) -> int:
        ours = (
            one for one in self._log.records if one.name == "app.provider.runtime.engine_process"
        )
        return sum("engine process" in record.getMessage() for record in ours)


@pytest.fixture
def starts(caplog: pytest.LogCaptureFixture) -> Starts:
    return Starts(caplog)


async def refusal_of(pool: ModelPool, model: str = "bad") -> ModelNotLoadable:
    with pytest.raises(ModelNotLoadable) as refused:
        await collect(pool.stream(model, prompt("hello", max_tokens=4)))
    return refused.value


async def text_of(pool: ModelPool, model: str) -> str:
    return (await collect(pool.stream(model, prompt("hello", max_tokens=4)))).text


async def test_a_refused_model_is_refused_again_without_a_process(
    pool: ModelPool, starts: Starts
) -> None:
    first = await refusal_of(pool)
    assert str(pool.card("bad").path.parent) not in str(first)
    assert starts.ended == 1
    await asyncio.sleep(0.5)  # the second try of what merely failed would come by now
    for _ in range(3):
        assert str(await refusal_of(pool)) == str(first)
    with pytest.raises(ModelNotLoadable):
        await pool.size("bad", prompt("hello"))
    assert starts.ended == 1
    assert pool.card("bad").problem == str(first)
    assert pool.state("bad") == "failed"
    assert pool.health()["bad"].restarts == 0
    assert pool.health()["bad"].pid is None


async def test_it_is_remembered_when_it_has_made_room(pool: ModelPool, starts: Starts) -> None:
    await refusal_of(pool)
    await pool.unload("bad")
    assert "bad" not in pool.health()
    await refusal_of(pool)
    assert starts.ended == 1
    assert (pool.state("bad"), bool(pool.card("bad").problem)) == ("failed", True)


async def test_to_load_it_is_to_try_once_more(pool: ModelPool, starts: Starts) -> None:
    await refusal_of(pool)
    for tries in (2, 3):
        with pytest.raises(ModelNotLoadable):
            _ = [event async for event in pool.load("bad")]
        assert starts.ended == tries
    await refusal_of(pool)
    assert starts.ended == 3


async def test_another_file_in_its_place_is_tried(pool: ModelPool) -> None:
    await refusal_of(pool)
    write(pool.card("bad").path)
    await asyncio.sleep(0.3)  # a refused model is looked at more often than others
    assert (await pool.find("bad")).problem is None
    assert pool.state("bad") == "unloaded"
    assert "bad" not in pool.health()
    assert await text_of(pool, "bad") == "Hi"


async def test_a_crash_of_the_library_is_a_refusal(tmp_path: Path, starts: Starts) -> None:
    """llama.cpp aborts the process for this key."""
    make(tmp_path / "bad.gguf", CHATML, kv={"llama.rope.scaling.type": "nonsense"})
    async with pool_of(tmp_path, limits=SMALL) as pool:
        first = await refusal_of(pool)
        assert "crashed while loading it (SIGABRT)" in str(first)
        await asyncio.sleep(0.5)
        assert str(await refusal_of(pool)) == str(first)
        assert (starts.ended, pool.health()["bad"].restarts) == (1, 0)


def replace_library(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engine processes that start from now on import this instead of llama-cpp-python."""
    (folder / "libraries").mkdir()
    (folder / "libraries" / "llama_cpp.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder / "libraries"))


async def test_a_process_killed_from_outside_is_not(
    pool: ModelPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_library(tmp_path, "import time; time.sleep(3600)", monkeypatch)  # it goes on loading
    before = {child.pid for child in psutil.Process().children()}
    asking = asyncio.create_task(text_of(pool, "a"))
    await until(lambda: bool(pool.health()) and pool.health()["a"].pid is not None)
    (pid,) = {child.pid for child in psutil.Process().children()} - before
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="killed by signal 9 while it loaded"):
        await asking
    monkeypatch.undo()
    assert pool.card("a").problem is None
    await asyncio.sleep(0.3)
    assert await text_of(pool, "a")


@pytest.mark.parametrize(
    ("code", "words"),
    [("raise ImportError('no libgomp.so.1')", "no libgomp.so.1"), ("raise MemoryError", "memory")],
)
async def test_what_lies_outside_the_file_is_not_remembered(
    pool: ModelPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    """The engine's library is replaced by one that cannot be imported."""
    replace_library(tmp_path, code, monkeypatch)
    refused = await refusal_of(pool, "a")
    assert not refused.lasting
    assert words in str(refused)
    assert pool.card("a").problem is None
    monkeypatch.undo()
    await asyncio.sleep(0.3)
    assert await text_of(pool, "a")


async def test_a_default_chosen_by_rule_is_one_that_can_be_used(pool: ModelPool) -> None:
    path = pool.card("bad").path
    for name in ("a", "b", "c"):
        path.with_name(f"{name}.gguf").unlink()
    write(path.with_name("starter.gguf"), BROKEN)
    path.with_name("aaa.gguf").write_bytes(STARTER.read_bytes()[:5000])  # cut off
    write(path.with_name("good.gguf"))
    pool.cards()
    assert pool.card(None).id == "starter"
    await refusal_of(pool, "starter")
    assert pool.card(None).id == "bad"
    await refusal_of(pool, "bad")
    assert pool.card(None).id == "good"
    assert pool.is_healthy()
    path.with_name("good.gguf").unlink()
    pool.cards()
    assert pool.card(None).id == "starter"  # says why none can be used
    assert pool.card(None).problem
    assert pool.is_healthy()


@pytest.mark.parametrize("setting", ["default_model", "default_vision"])
async def test_a_model_that_a_setting_names_has_no_stand_in(tmp_path: Path, setting: str) -> None:
    named = write(tmp_path / "named.gguf", BROKEN)
    async with pool_of(tmp_path, limits=SMALL, **{setting: named}) as pool:
        await pool.rescan_defaults()
        assert pool.is_healthy()  # nobody knows yet
        await refusal_of(pool, "named")
        assert not pool.is_healthy()
        (status,) = pool.broken_defaults().values()
        assert (status.state, status.healthy) == ("failed", False)
        if setting == "default_model":
            assert (await pool.find(None)).id == "named"
        write(named)
        await asyncio.to_thread(pool.cards)
        assert pool.is_healthy()
        named.unlink()
        await asyncio.to_thread(pool.cards)
        assert pool.broken_defaults()["named"].problem == "There is no such model."
        assert not pool.is_healthy()
