"""Any dialect's encoder runs over the same transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest
from fastapi import APIRouter

from app.provider.errors import EngineUnavailable
from app.provider.types import Delta, End, Event, Progress, Started, Usage
from app.web.sse import EventStream, Shown, frame
from tests.conftest import serving

router = APIRouter()


class _Words:
    """Only the text, without names and numbers; silent on how far the engine is."""

    def start(self) -> str:
        return ""

    def event(self, event: Shown) -> str:
        match event:
            case Delta(text=text):
                return frame(text)
            case End():
                return frame("[DONE]")
        return ""

    def error(self, error: Exception, request_id: str) -> str:
        return frame(f"{error} {request_id}", event="failed")


async def _events(fails: bool) -> AsyncGenerator[Event, None]:
    yield Progress("prefill", 1, 2)
    yield Started(2, 0)
    yield Delta("one")
    yield Delta("two")
    if fails:
        raise EngineUnavailable("Down.", 1.0)
    yield End("stop", Usage(2, 2, 0))


@router.get("/words")
async def _words(fails: bool = False) -> EventStream:
    return EventStream(_Words(), _events(fails))


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(routers=[router]) as client:
        yield client


def test_frames_are_those_of_the_encoder(client: httpx.Client) -> None:
    answer = client.get("/words")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "data: one\n\ndata: two\n\ndata: [DONE]\n\n"


def test_an_error_after_the_start_is_a_frame(client: httpx.Client) -> None:
    answer = client.get("/words", params={"fails": True}, headers={"X-Request-ID": "r1"})
    assert answer.status_code == 200
    assert answer.text.endswith("event: failed\ndata: Down. r1\n\n")
    assert "[DONE]" not in answer.text


def test_a_frame() -> None:
    assert frame("{}", event="delta", event_id=3) == "event: delta\nid: 3\ndata: {}\n\n"
