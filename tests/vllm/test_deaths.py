"""vLLM that cannot be started, dies or is killed, as clients of the server see it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.http.events import parsed
from tests.selection import matrix
from tests.vllm.serving_vllm import Notes, has_ended, serving_vllm, wait_for

pytestmark = pytest.mark.slow

QUESTION = {"message": "one two three four"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def client_and_notes(tmp_path: Path) -> Iterator[tuple[httpx.Client, Notes]]:
    with serving_vllm(tmp_path) as both:
        yield both


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/api/v1/chat", json=QUESTION)


def test_one_that_dies_while_loading_says_why(tmp_path: Path) -> None:
    fault = "dies ValueError: The checkpoint has the model type `x`, which is not known."
    with serving_vllm(tmp_path, fault) as (client, notes):
        refused = ask(client)
        assert (refused.status_code, refused.json()["code"]) == (409, "model-not-loadable")
        assert "vLLM cannot load it: The checkpoint has the model type `x`" in refused.text
        assert has_ended(notes)()
        notes.fail("")
        assert client.post("/api/v5/models/m/load").is_success
        assert ask(client).status_code == 200


@pytest.mark.matrix
def test_one_that_dies_for_want_of_memory_is_tried_again(tmp_path: Path) -> None:
    fault = "dies torch.OutOfMemoryError: CUDA out of memory."
    with serving_vllm(tmp_path, fault) as (client, notes):
        assert "CUDA out of memory" in ask(client).text
        notes.fail("")
        assert ask(client).status_code == 200


@pytest.mark.matrix
def test_one_that_dies_without_a_word(tmp_path: Path) -> None:
    with serving_vllm(tmp_path, "silent") as (client, _):
        assert "exit code 3" in ask(client).json()["detail"]


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with serving_vllm(tmp_path, vllm_command="/nowhere/vllm") as (client, _):
        refused = ask(client)
    assert refused.status_code == 409
    assert "cannot be started" in refused.json()["detail"]


@pytest.mark.matrix
def test_an_option_that_vllm_does_not_know(tmp_path: Path) -> None:
    with serving_vllm(tmp_path, llm_vllm_args="--nonsense") as (client, _):
        assert "unrecognized arguments: --nonsense" in ask(client).json()["detail"]


def test_loading_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    with serving_vllm(tmp_path, "slow", load_timeout_seconds=1) as (client, notes):
        assert (ask(client).status_code, has_ended(notes)()) == (503, True)


def test_a_slow_load_shows_how_far_it_is(tmp_path: Path) -> None:
    text = ""
    with (
        serving_vllm(tmp_path, "slow", stream_patience_seconds=0) as (client, notes),
        client.stream("POST", "/api/v4/chat/stream", json=QUESTION) as answer,
    ):
        for piece in answer.iter_text():
            text += piece
            if '{"percent":50}' in text and notes.has("fault"):
                notes.fail("")
    assert parsed(text)[-1].name == "done"


def test_one_that_dies_in_mid_answer(client_and_notes: tuple[httpx.Client, Notes]) -> None:
    client, notes = client_and_notes
    ask(client)
    notes.fail("cut")
    events = parsed(client.post("/api/v2/chat/stream", json=QUESTION).text)
    assert (events[-1].name, events[-1].data["code"]) == ("error", "engine-unavailable")
    notes.fail("")
    came_back(client, notes)


def came_back(client: httpx.Client, notes: Notes) -> None:
    """The model answers again, from new processes, and nothing is left of the old ones."""
    wait_for(has_ended(notes, 0))
    wait_for(lambda: ask(client).status_code == 200)
    assert len(notes.starts) == 2


def server_of(notes: Notes) -> psutil.Process:
    return psutil.Process(notes.starts[-1]["pids"][0])


def guard_of(notes: Notes) -> psutil.Process:
    found = server_of(notes).parent()
    assert found
    return found


def engine_of(notes: Notes) -> psutil.Process:
    found = guard_of(notes).parent()
    assert found
    return found


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(engine_of, id="engine", marks=pytest.mark.matrix),
        pytest.param(guard_of, id="guard", marks=pytest.mark.matrix),
        pytest.param(server_of, id="server"),
    ],
)
def test_one_that_is_killed_comes_back(
    client_and_notes: tuple[httpx.Client, Notes], victim: Callable[[Notes], psutil.Process]
) -> None:
    client, notes = client_and_notes
    ask(client)
    notes.fail("holds")
    text = ""
    with client.stream("POST", "/api/v2/chat/stream", json=QUESTION) as answer:
        for piece in answer.iter_text():
            if "two" in piece and "two" not in text:
                victim(notes).kill()
            text += piece
    last = parsed(text)[-1]
    assert (last.name, last.data["code"]) == ("error", "engine-unavailable")
    notes.fail("")
    came_back(client, notes)


@pytest.mark.parametrize("fault", ["deaf", *matrix("dead")])
def test_one_that_does_not_work_any_more_is_started_again(
    client_and_notes: tuple[httpx.Client, Notes], fault: str
) -> None:
    client, notes = client_and_notes
    ask(client)
    notes.fail(fault)

    def first_has_ended() -> bool:
        assert is_answered_or_refused(client)
        return has_ended(notes, 0)()

    wait_for(first_has_ended)
    notes.fail("")
    came_back(client, notes)


def is_answered_or_refused(client: httpx.Client) -> bool:
    """Whether there is an answer, or the error that says to try again."""
    answer = ask(client)
    return answer.is_success or (answer.status_code, answer.json()["code"]) == (
        503,
        "engine-unavailable",
    )


SERVER = """
import sys
from pathlib import Path
from tests.vllm.serving_vllm import serving_vllm

with serving_vllm(Path(sys.argv[1]), sys.argv[2]) as (client, notes):
    assert client.post("/api/v1/chat", json={"message": "hello"}).status_code == 200
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "loading", [False, pytest.param(True, marks=pytest.mark.matrix)], ids=["ready", "loading"]
)
def test_kill_9_of_the_server_leaves_nothing(tmp_path: Path, loading: bool) -> None:
    notes = Notes(tmp_path / "notes")
    command = [sys.executable, "-c", SERVER, str(tmp_path), "slow" if loading else ""]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout
        if loading:
            wait_for(lambda: notes.starts)
        else:
            assert server.stdout.readline() == b"ready\n"
        os.kill(server.pid, signal.SIGKILL)
    wait_for(has_ended(notes))
