"""Processes that are told to end, or are killed: what clients see, and that nothing is left."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.http.events import parsed
from tests.http.in_hand import until_busy
from tests.selection import matrix
from tests.suspending import standing_still, suspend
from tests.workers.serving import LIMIT, Served, serving, wait_until

pytestmark = pytest.mark.slow

SHORT = {"message": "hi", "model": "echo"}
AT_ONCE = {"STREAM_PATIENCE_SECONDS": "0"}
"""A stream says 200 before the engine does."""

ENDS = {signal.SIGINT: 128 + signal.SIGINT, signal.SIGTERM: -15, signal.SIGHUP: -1}
"""The exit status after each signal, which is that of one process."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, 2, **AT_ONCE) as one:
        one.wait_until_ready()
        yield one


@contextmanager
def being_answered(served: Served, client: httpx.Client) -> Iterator[Iterator[str]]:
    """While a stream has begun that does not end, as its engine stands still; gives its pieces."""
    (engine,) = served.engines()
    with (
        standing_still(engine),
        client.stream("POST", "/api/v4/chat/stream", json=SHORT) as answer,
        httpx.Client(base_url=served.address, timeout=LIMIT) as beside,
    ):
        assert answer.status_code == 200
        until_busy(beside)
        yield answer.iter_text()


@contextmanager
def being_answered_by_one(served: Served) -> Iterator[Iterator[str]]:
    """The same by any worker."""
    with (
        httpx.Client(base_url=served.address, timeout=LIMIT) as client,
        being_answered(served, client) as pieces,
    ):
        yield pieces


def rest(served: Served, pieces: Iterator[str]) -> str:
    """What comes of an answer whose engine goes on when the server takes no more connections."""
    wait_until(served.refuses)
    for engine in served.engines():
        engine.resume()
    return "".join(pieces)


@pytest.mark.parametrize("number", [signal.SIGINT, *matrix(signal.SIGTERM, signal.SIGHUP)])
def test_a_signal_lets_answers_end_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    with serving(tmp_path, 2, **AT_ONCE) as served:
        served.wait_until_ready()
        with being_answered_by_one(served) as pieces:
            served.end(number)
            text = rest(served, pieces)
        assert parsed(text)[-1].name == "done"
        assert served.process.wait(LIMIT) == ENDS[signal.Signals(number)]
        served.family.require_gone()
        assert "Traceback" not in served.log()


def test_nothing_is_left_when_the_parent_is_killed(served: Served) -> None:
    with being_answered_by_one(served) as pieces:
        served.process.kill()
        text = rest(served, pieces)
    assert parsed(text)[-1].name == "done"
    served.family.require_gone()


@pytest.mark.matrix
def test_nothing_is_left_when_all_but_the_engine_are_killed(served: Served) -> None:
    for process in [*served.workers(), served.model_server()]:
        process.kill()
    served.process.kill()
    served.family.require_gone()


def test_a_killed_worker_is_replaced_and_the_others_go_on(tmp_path: Path, served: Served) -> None:
    first, second = served.workers()
    (tmp_path / ".env").write_text("LLM_MODEL_CACHE_SIZE=5\n")  # of models that are not theirs
    with served.client_of_each() as (_, other):
        first.kill()
        assert other.post("/api/v1/chat", json=SHORT).status_code == 200
    first.wait(LIMIT)
    served.wait_until_whole()
    assert served.workers()[0] != first
    assert served.workers()[1] == second
    assert len(served.engines()) == 1
    assert len(served.model_servers()) == 1
    assert f"worker {first.pid} was killed by signal 9" in served.log()


def test_a_killed_model_server_is_a_clear_503_and_comes_back(served: Served) -> None:
    killed = served.model_server()
    with served.client_of_each() as clients:
        with being_answered(served, clients[0]) as pieces:
            killed.kill()
            last = parsed("".join(pieces))[-1]
        assert (last.name, last.data["code"]) == ("error", "engine-unavailable")
        for client in clients:
            wait_until(partial(answers, client))
            wait_until(partial(has_health, client, 200))
            assert client.get("/health").json()["model_server"] == "ok"
    assert served.model_server() != killed
    assert len(served.workers()) == 2


def answers(client: httpx.Client) -> bool:
    """Whether a question is answered; until then it is refused as it should be."""
    answer = client.post("/api/v1/chat", json=SHORT)
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["code"]) == (503, "engine-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status_code == 200


@pytest.mark.matrix
def test_health_is_503_while_the_model_server_does_not_answer(served: Served) -> None:
    server = served.model_server()
    with served.client_of_each() as clients:
        with standing_still(server):
            for client in clients:
                wait_until(partial(has_health, client, 503))
                assert client.get("/health/live").status_code == 200
        for client in clients:
            wait_until(partial(has_health, client, 200))


def has_health(client: httpx.Client, status: int) -> bool:
    return client.get("/health").status_code == status


@pytest.mark.matrix
def test_a_worker_that_cannot_start_ends_all_with_its_sentence(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "broken.json").write_text("{")
    with serving(tmp_path, PROMPTS_DIR=str(prompts)) as served:
        assert served.process.wait(LIMIT) == 1
        served.family.require_gone()
        log = served.log()
        assert "broken.json" in log
        assert len(log.splitlines()) == 1, log


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has open")
@pytest.mark.matrix
def test_workers_that_fail_in_the_same_moment_end_all_with_one_sentence(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    os.mkfifo(pipe := prompts / "broken.json")
    with serving(tmp_path, PROMPTS_DIR=str(prompts)) as served:
        end = wait_until(partial(opened, pipe))
        wait_until(lambda: sum(has_open(one, pipe) for one in served.workers()) == 2)
        parent = psutil.Process(served.process.pid)
        suspend(parent)
        os.close(end)  # the pipe is empty, so both fail
        wait_until(lambda: not served.workers())
        parent.resume()
        assert served.process.wait(LIMIT) == 1
        log = served.log()
        assert "broken.json" in log
        assert len(log.splitlines()) == 1, log


def opened(pipe: Path) -> int | None:
    """The end of a pipe to write to, as soon as somebody reads it."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


def has_open(process: psutil.Process, path: Path) -> bool:
    """Whether a process has opened a file."""
    with suppress(OSError):
        return path in [one.readlink() for one in Path(f"/proc/{process.pid}/fd").iterdir()]
    return False


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="ms-") as folder:
        yield Path(folder)


@pytest.mark.matrix
def test_a_model_server_that_cannot_start_ends_all_with_a_sentence(
    tmp_path: Path, short_folder: Path
) -> None:
    open_to_all = short_folder / "sllm"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with serving(tmp_path, XDG_RUNTIME_DIR=str(short_folder)) as served:
        assert served.process.wait(LIMIT) == 1
        served.family.require_gone()
        last = served.log().splitlines()[-1]
        assert last.startswith("The model server cannot be asked: ")
        assert last.endswith("belongs to others too: delete it, or forbid it to them.")
        assert "Traceback" not in served.log()


def test_local_models_in_several_processes_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, ENGINE_RUNTIME="local") as served:
        assert served.process.wait(LIMIT) == 1
        assert "ENGINE_RUNTIME=local: " in served.log()
        assert len(served.log().splitlines()) == 1, served.log()
