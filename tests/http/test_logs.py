from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import APIRouter
from starlette.responses import StreamingResponse

from tests.conftest import serving


def lines_of(answer: httpx.Response, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of an answer; the line comes shortly after the answer itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        messages = [
            record.getMessage() for record in caplog.records if record.name == "app.web.request_log"
        ]
        if found := [line for line in messages if line.endswith(answer.headers["x-request-id"])]:
            return found
        time.sleep(0.01)
    return []


def test_one_line_per_request_without_its_content(
    echo: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "app"):
        answer = echo.post("/api/v1/chat?secret=1", json={"message": "secret", "system": "secret"})
        (line,) = lines_of(answer, caplog)
    assert line.startswith("POST '/api/v1/chat' 200 ")
    assert "secret" not in caplog.text


@pytest.fixture(scope="module")
def buggy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The server, with two bugs in it."""
    router = APIRouter()

    @router.get("/bug")
    async def bug() -> None:
        raise RuntimeError("a secret")

    @router.get("/late-bug")
    async def late_bug() -> StreamingResponse:
        async def begin() -> AsyncIterator[str]:
            yield "begun"
            raise RuntimeError("a secret")

        return StreamingResponse(begin())

    with serving(models_dir=tmp_path_factory.mktemp("models"), routers=[router]) as client:
        yield client


def test_a_bug_is_answered_without_its_message_and_logged_with_it(
    buggy: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = buggy.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert f"request {answer.headers['x-request-id']} failed" in caplog.text
    assert "RuntimeError: a secret" in caplog.text


def test_a_late_bug_cuts_the_connection(buggy: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        buggy.get("/late-bug")
    assert buggy.get("/health/live").status_code == 200
