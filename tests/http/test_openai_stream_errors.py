"""A stream that fails says why, in the form that the SDKs raise, and never looks whole."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator

import httpx
import pytest
from fastapi import APIRouter

from app.chat.choices import Choice
from app.openai.chat_stream import ChatEncoder
from app.openai.completion_stream import CompletionEncoder
from app.openai.models.sampling import StreamOptions
from app.openai.translate.answers import AnswerHead
from app.provider.errors import EngineUnavailable
from app.provider.types import Delta, Event, Started
from app.web.sse import Encoder, EventStream
from tests.conftest import serving
from tests.http.openai_wire import error_of

HEAD = AnswerHead("m", "x-1", 1)
ENCODERS: dict[str, Callable[[], Encoder]] = {
    "chat": lambda: ChatEncoder(HEAD, StreamOptions(), logprobs=False),
    "completion": lambda: CompletionEncoder(HEAD, [""], 1, StreamOptions()),
}
ERRORS: dict[str, Exception] = {
    "gone": EngineUnavailable("The engine died.", 1.0),
    "bug": ValueError("secret"),
}

router = APIRouter(prefix="/v1/broken")


@router.post("/{encoder}/{error}/{begun}")
async def broken(encoder: str, error: str, begun: bool) -> EventStream:
    return EventStream(ENCODERS[encoder](), failing(ERRORS[error], begun=begun))


async def failing(error: Exception, *, begun: bool) -> AsyncGenerator[Event | Choice, None]:
    if begun:
        yield Started(1, 0)
        yield Choice(0, Delta("Hel"))
    raise error


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(models_dir=tmp_path_factory.mktemp("none"), routers=[router]) as client:
        yield client


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_ends_a_stream_without_done(
    client: httpx.Client, encoder: str, error: str
) -> None:
    answer = client.post(f"/v1/broken/{encoder}/{error}/true")
    assert answer.status_code == 200
    last = json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last.keys() == {"error"}
    assert last["error"]["type"] == "server_error"
    assert "secret" not in answer.text
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_error_before_the_first_word_is_an_answer(client: httpx.Client, encoder: str) -> None:
    gone = client.post(f"/v1/broken/{encoder}/gone/false")
    assert error_of(gone) == (503, "server_error", None)
    assert gone.headers["retry-after"] == "1"
    assert "x-should-retry" not in gone.headers
    bug = client.post(f"/v1/broken/{encoder}/bug/false")
    assert error_of(bug) == (500, "server_error", None)
    assert bug.headers["x-should-retry"] == "false"
