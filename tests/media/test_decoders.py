"""The processes that decode: bounded in time, memory and number, and gone afterwards."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from app.media.errors import ImagesBusy, ImageUnreadable
from app.media.fork_server import ForkServer
from app.media.intake import Intake
from app.media.picture import Picture
from app.media.policy import MediaPolicy
from app.provider.runtime import child_process as processes
from tests.media.files import jpeg, many_scans
from tests.suspending import suspend

SLOW = many_scans(3000)
"""Many seconds of work, which no test waits for; 200 kB."""
STARTED: set[int] = set()
"""Processes that these tests have started: servers of other tests, in threads, keep some too."""


@pytest.fixture(autouse=True)
def _note_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start, here = processes.start, threading.get_ident()

    async def noted(*given: Any, **options: Any) -> processes.Child:
        child = await start(*given, **options)
        if threading.get_ident() == here:
            STARTED.add(child.popen.pid)
        return child

    monkeypatch.setattr(processes, "start", noted)


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    intake = Intake(MediaPolicy(seconds=600, workers=1, max_waiting=1))
    yield intake
    await intake.close()
    assert own_fork_servers() == []


def decoders() -> list[psutil.Process]:
    """Processes that decode, of every server in this process."""
    return [fork for server in _fork_servers() for fork in server.children() if _is_one(fork)]


def own_decoders() -> list[psutil.Process]:
    return [child for child in decoders() if child.ppid() in STARTED]


def own_fork_servers() -> list[psutil.Process]:
    return [server for server in _fork_servers() if server.pid in STARTED]


def _fork_servers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_one(child)]


def _is_one(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "app.media" in process.cmdline()
    except psutil.NoSuchProcess:  # ended since it was listed
        return False


async def at_work() -> psutil.Process:
    """The process that decodes, once it does."""
    while True:
        for child in own_decoders():
            if child.cpu_times().user > 0.3:
                return child
        await asyncio.sleep(0.01)


async def test_a_picture_that_takes_too_long() -> None:
    intake = Intake(MediaPolicy(seconds=1.0))
    with pytest.raises(ImageUnreadable, match="longer than 1 seconds"):
        await intake.take_bytes(SLOW)
    assert own_decoders() == []
    await intake.close()


async def test_a_crash_of_the_decoder_is_one_picture_lost(intake: Intake) -> None:
    task = asyncio.create_task(intake.take_bytes(SLOW))
    (await at_work()).send_signal(11)
    with pytest.raises(ImageUnreadable, match="crash"):
        await task
    assert (await intake.take_bytes(jpeg())).width == 40


async def test_a_fork_server_that_was_killed_is_replaced(intake: Intake) -> None:
    await intake.take_bytes(jpeg())
    (server,) = own_fork_servers()
    server.kill()
    assert (await intake.take_bytes(jpeg())).width == 40
    assert own_fork_servers() not in ([], [server])


async def test_a_fork_server_that_still_looks_alive_is_replaced(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is closed a moment before the process can be seen to have ended."""
    await intake.take_bytes(jpeg())
    (server,) = own_fork_servers()
    monkeypatch.setattr(ForkServer, "alive", True)
    server.kill()
    assert (await intake.take_bytes(jpeg())).width == 40


async def test_a_decoder_outlives_its_fork_server(intake: Intake) -> None:
    """A loss of the server costs no picture that is being decoded."""
    task = asyncio.create_task(intake.take_bytes(many_scans(600)))
    await at_work()
    (server,) = own_fork_servers()
    server.kill()
    assert (await task).width == 2000


async def test_each_picture_has_a_process_of_its_own(intake: Intake) -> None:
    seen = set()
    for _ in range(2):
        task = asyncio.create_task(intake.take_bytes(SLOW))
        worker = await at_work()
        seen.add(worker.pid)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert own_decoders() == []
    assert len(seen) == 2
    assert len(own_fork_servers()) == 1


async def test_who_is_cancelled_leaves_no_process_at_work(intake: Intake) -> None:
    task = asyncio.create_task(intake.take_bytes(SLOW))
    worker = await at_work()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker not in own_decoders()
    assert (await intake.take_bytes(jpeg())).width == 40


async def test_few_at_once_few_wait_and_the_others_are_told(intake: Intake) -> None:
    tasks = [asyncio.create_task(intake.take_bytes(SLOW)) for _ in range(2)]
    await at_work()
    assert len(own_decoders()) == 1
    with pytest.raises(ImagesBusy, match="1 images are waiting"):
        await intake.take_bytes(jpeg())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (await intake.take_bytes(jpeg())).width == 40


async def test_the_loop_is_free_while_a_picture_is_decoded(intake: Intake) -> None:
    task = asyncio.create_task(intake.take_bytes(SLOW))
    suspend(await at_work())  # it is not done before the loop has gone round
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert not task.done()
    task.cancel()


async def test_many_pictures_at_once() -> None:
    intake = Intake(MediaPolicy(workers=2))
    pictures: list[Picture] = await asyncio.gather(*(intake.take_bytes(jpeg()) for _ in range(8)))
    assert len(set(pictures)) == 1
    assert own_decoders() == []
    assert len(own_fork_servers()) == 1
    await intake.close()


async def test_a_process_knows_no_secret_and_can_open_nothing(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS", "hush")
    task = asyncio.create_task(intake.take_bytes(SLOW))
    worker = await at_work()
    assert "hush" not in worker.environ().values()
    if sys.platform == "linux":
        assert worker.rlimit(psutil.RLIMIT_NOFILE) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        memory, _ = worker.rlimit(psutil.RLIMIT_AS)
        assert memory < 250 * 2**20  # of a picture of 4 million pixels
    assert worker.net_connections("inet") == []
    task.cancel()
