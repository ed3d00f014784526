"""What another server does wrong, and how clients are told of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import serving
from tests.provider.upstream.servers import declare
from tests.provider.upstream.stub import PIECES, Answering, Asked, Behave, Stub, fine, stub_server

TEXT = "".join(PIECES)
SECRET = "key-of-the-other-server"

TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, you requested 100 output tokens "
    "and your prompt contains 5000 input tokens, for a total of 5100 tokens. Please reduce the "
    "length of the input prompt or the number of requested output tokens."
)


async def no_done(it: Answering) -> None:
    it.pieces()


async def no_reason(it: Answering) -> None:
    it.pieces(reason=None)
    it.done()


async def no_usage(it: Answering) -> None:
    it.pieces(usage=None)
    it.done()


async def cached(it: Answering) -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    it.pieces(usage=usage)
    it.done()


async def error_in_stream(it: Answering) -> None:
    it.pieces(usage=None, reason=None)
    it.event({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}})
    it.done()


async def overflow_in_stream(it: Answering) -> None:
    it.start()
    it.event({"error": {"message": TOO_LONG, "type": "BadRequestError", "code": 400}})
    it.done()


async def overflow_in_mid_answer(it: Answering) -> None:
    """Half-way it says what others say before the answer, of a prompt that could be answered."""
    it.pieces(usage=None, reason=None)
    words = TOO_LONG.replace("5000", "4000")
    it.event({"error": {"message": words, "type": "BadRequestError", "code": 400}})
    it.done()


async def huge_numbers(it: Answering) -> None:
    """More tokens, and higher numbers of tokens, than any message can hold."""
    it.start(kind="application/json")
    it.send(json.dumps({"count": 10**30, "tokens": [10**30], "token_strs": ["x"]}).encode())


async def cut(it: Answering) -> None:
    it.start(Content_Length="100000")
    it.piece({"content": "One "})


async def silent(it: Answering) -> None:
    it.start()
    it.piece({"content": "One "})
    await it.hang()


async def never(it: Answering) -> None:
    await it.hang()


async def no_http(it: Answering) -> None:
    it.send(b"\x00\x01\x02 this is no HTTP\r\n\r\n")


async def no_json(it: Answering) -> None:
    it.start()
    it.event("{this is no JSON")


async def no_utf8(it: Answering) -> None:
    it.start()
    it.send(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n')


async def odd_types(it: Answering) -> None:
    it.start()
    values: list[Any] = [
        None,
        7,
        [],
        {"choices": 7},
        {"choices": [None]},
        {"choices": [{"delta": 7}]},
    ]
    for value in values:
        it.event(json.dumps(value))
    it.piece({"content": {"no": "text"}, "tool_calls": [7, {"function": 7}][:1]})
    it.piece({"content": "well"}, "stop", usage={"prompt_tokens": "many", "completion_tokens": -1})
    it.done()


async def huge_line(it: Answering) -> None:
    it.start()
    it.send(b"data: " + b"x" * (9 * 2**20))
    await it.hang()


async def compressed(it: Answering) -> None:
    it.start(Content_Encoding="gzip")


async def aborted(it: Answering) -> None:
    it.pieces(reason="abort")
    it.done()


async def cookies(it: Answering) -> None:
    it.pieces(Set_Cookie="who=you")
    it.done()


def refuses(status: str, message: str, **headers: str) -> Behave:
    async def behave(it: Answering) -> None:
        it.refuse(status, message, **headers)

    return behave


FAULTS: dict[str, tuple[Behave, int, str]] = {
    "no-done": (no_done, 503, "broke off its answer"),
    "no-reason": (no_reason, 503, "ended its answer without a reason"),
    "error-in-stream": (error_in_stream, 503, "failed: CUDA out of memory"),
    "overflow-in-stream": (overflow_in_stream, 400, "5000 tokens > 4096"),
    "overflow-in-mid-answer": (overflow_in_mid_answer, 503, "broke off its answer: "),
    "cut": (cut, 503, "broke off its answer"),
    "silent": (silent, 503, "was silent for 1 s"),
    "never": (never, 503, "did not answer within 2 s"),
    "no-http": (no_http, 503, "broke off"),
    "no-json": (no_json, 503, "sent an event that is no JSON"),
    "no-utf8": (no_utf8, 503, "sent an event that is no JSON"),
    "huge-line": (huge_line, 503, "sent a line of more than"),
    "compressed": (compressed, 503, "compresses its answer"),
    "aborted": (aborted, 503, "stopped the answer: abort"),
    "busy": (refuses("429 Too Many", "Slow down", Retry_After="7"), 429, "is busy: Slow down"),
    "loading": (refuses("503 No", "Loading model", Retry_After="3"), 503, "failed: Loading model"),
    "broken": (refuses("500 No", "Boom"), 503, "failed: Boom"),
    "locked": (refuses("401 No", "Bad key"), 409, "does not accept this server's key: Bad key"),
    "gone": (refuses("404 No", "No such model"), 409, "does not have it: No such model"),
    "refused": (refuses("400 No", "No tools\nhere"), 400, "refused the request: No tools here"),
    "overflow": (refuses("400 No", TOO_LONG), 400, "5000 tokens > 4096"),
}
IMPATIENT = {"never": {"first_byte": 2}, "silent": {"silence": 1}}
"""What is bounded, in seconds, for these models; the others may take as long as they do."""
GOOD: dict[str, Behave] = {
    "no-usage": no_usage,
    "cached": cached,
    "cookies": cookies,
    "odd-types": odd_types,
    "huge-numbers": huge_numbers,
    "fine": fine,
    "holding": never,
}


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with stub_server({name: fault[0] for name, fault in FAULTS.items()} | GOOD) as stub:
        yield stub


@pytest.fixture(scope="module")
def client(stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    box: dict[str, Any] = {"kind": "vllm", "key_env": "OTHER_KEY"}
    patient = sorted({*FAULTS, *GOOD} - IMPATIENT.keys())
    declare(folder, "other", stub.url, models=patient, **box)
    for name, timeouts in IMPATIENT.items():
        declare(folder, f"impatient-{name}", stub.url, models=[name], timeouts=timeouts, **box)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER_KEY", SECRET)
        options: dict[str, Any] = {"model_ttl_seconds": 1, "stream_patience_seconds": 0}
        with serving(models_dir=folder, enable_echo=False, **options) as client:
            yield client


def chat(client: httpx.Client, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Count"}], **more}
    return client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_is_an_error_and_never_an_answer(client: httpx.Client, fault: str) -> None:
    _, status, words = FAULTS[fault]
    answer = chat(client, fault)
    assert (answer.status_code, answer.json()["error"]["message"].count(words)) == (status, 1)
    assert SECRET not in answer.text


@pytest.mark.parametrize("fault", ["cut", "error-in-stream", "no-done", "silent"])
def test_in_a_stream_the_error_is_the_last_event(client: httpx.Client, fault: str) -> None:
    _, _, words = FAULTS[fault]
    events = [line for line in chat(client, fault, stream=True).text.split("\n") if line]
    assert words in json.loads(events[-1].removeprefix("data: "))["error"]["message"]
    assert "data: [DONE]" not in events
    assert '"finish_reason":"stop"' not in events[-1]


def test_a_busy_server_says_when_to_come_again(client: httpx.Client) -> None:
    assert chat(client, "busy").headers["Retry-After"] == "7"
    assert chat(client, "loading").headers["Retry-After"] == "3"


def test_a_usage_that_nobody_counted_is_unknown(client: httpx.Client) -> None:
    counted = chat(client, "cached").json()["usage"]
    assert counted["prompt_tokens_details"] == {"cached_tokens": 4}
    plain = chat(client, "fine").json()["usage"]
    assert (plain["prompt_tokens"], plain["prompt_tokens_details"]) == (5, None)
    none = chat(client, "no-usage").json()
    assert none["choices"][0]["message"]["content"] == TEXT
    assert none["usage"]["completion_tokens"] == len(PIECES)


def test_what_is_of_another_type_is_left_out(client: httpx.Client) -> None:
    answer = chat(client, "odd-types").json()
    assert answer["choices"][0]["message"]["content"] == "well"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tokenize", {"prompt": "x"}),
        ("/api/v6/tokens", {"message": "x"}),
    ],
)
def test_numbers_that_are_none_are_an_error(
    client: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json={"model": "huge-numbers", **body})
    assert answer.status_code == 503
    assert "did not say" in answer.text


def test_an_answer_that_does_not_fit_is_made_shorter(client: httpx.Client, stub: Stub) -> None:
    """A request for more tokens than the context holds ends with the context, as it does here."""
    words = TOO_LONG.replace("5000", "4000")
    stub.behaviours["fine"] = answers_in_turn(refuses("400 No", words), fine)
    try:
        assert chat(client, "fine", max_tokens=9999).status_code == 200
        assert [one.body["max_tokens"] for one in stub.of("fine")][-2:] == [9999, 96]
    finally:
        stub.behaviours["fine"] = fine


def answers_in_turn(*behaviours: Behave) -> Behave:
    left = list(behaviours)

    async def behave(it: Answering) -> None:
        await left.pop(0)(it)

    return behave


@contextmanager
def held(client: httpx.Client, stub: Stub) -> Iterator[Asked]:
    """While a request waits for an answer that does not come."""
    body = {"model": "holding", "messages": [{"role": "user", "content": "x"}], "stream": True}
    before, deadline = len(stub.of("holding")), time.monotonic() + 60
    with client.stream("POST", "/v1/chat/completions", json=body, timeout=60):
        while not stub.of("holding")[before:]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (asked,) = stub.of("holding")[before:]
        yield asked


def test_hanging_up_is_seen_there(client: httpx.Client, stub: Stub) -> None:
    with held(client, stub) as asked:
        assert not asked.hung_up.is_set()
    assert asked.hung_up.wait(60)


def test_the_key_goes_to_the_server_alone(client: httpx.Client, stub: Stub) -> None:
    chat(client, "fine")
    assert stub.of("fine")[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_cookies_are_not_kept(client: httpx.Client, stub: Stub) -> None:
    assert chat(client, "cookies").json()["choices"][0]["message"]["content"] == TEXT
    chat(client, "cookies")
    assert len(stub.of("cookies")) == 2
    assert all("cookie" not in one.headers for one in stub.of("cookies"))


def test_a_redirect_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", SECRET)
    with stub_server({}) as target:
        away = refuses("307 Away", "", Location=f"{target.url}/v1/chat/completions")
        with stub_server({"moved": away}) as stub:
            declare(tmp_path, "other", stub.url, kind="vllm", models=["moved"], key_env="OTHER_KEY")
            with serving(models_dir=tmp_path, enable_echo=False) as client:
                answer = chat(client, "moved")
        assert answer.status_code == 409
        assert "which is not followed" in answer.json()["error"]["message"]
        assert target.asked == []


def test_each_owner_has_a_salt_of_his_own(stub: Stub, tmp_path: Path) -> None:
    declare(tmp_path, "other", stub.url, kind="vllm", models=["fine"])
    before = len(stub.of("fine"))
    with serving(models_dir=tmp_path, enable_echo=False, api_keys=("one", "two")) as client:
        for key in ("one", "two", "one"):
            client.headers["Authorization"] = f"Bearer {key}"
            assert chat(client, "fine").status_code == 200
    first, second, third = [one.body["cache_salt"] for one in stub.of("fine")[before:]]
    assert first == third != second
    assert 0 < len(first) <= 128
    assert first.isalnum()


def test_a_server_that_cannot_be_reached_comes_back_by_itself(tmp_path: Path) -> None:
    with socket.socket() as bound, serving(models_dir=tmp_path, enable_echo=False) as client:
        bound.bind(("127.0.0.1", 0))  # nobody else gets the port, and nobody listens
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        declare(tmp_path, "other", url, kind="vllm", models=["fine"])
        refused = chat(client, "fine")
        assert refused.status_code == 503
        assert "cannot be reached" in refused.json()["error"]["message"]
        assert int(refused.headers["Retry-After"]) >= 1
        with stub_server({}) as stub:
            declare(tmp_path, "other", stub.url, kind="vllm", models=["fine"])
            while (answer := chat(client, "fine")).status_code == 503:
                pass
        assert answer.json()["choices"][0]["message"]["content"] == TEXT


def test_a_key_that_is_not_set_is_named(stub: Stub, tmp_path: Path) -> None:
    declare(tmp_path, "other", stub.url, models=["fine"], key_env="NO_SUCH_SERVERS_KEY")
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        answer = chat(client, "fine")
    assert answer.status_code == 409
    assert "NO_SUCH_SERVERS_KEY is not set" in answer.json()["error"]["message"]


def test_no_process_and_no_command_line_has_the_key(client: httpx.Client, stub: Stub) -> None:
    seen = 0
    with held(client, stub):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                shown = [*process.cmdline(), *process.environ().values()]
                assert SECRET not in " ".join(shown)
                seen += any("async_worker" in part for part in shown)
    assert seen
