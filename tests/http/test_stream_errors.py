"""An error is the same whether it comes as an HTTP answer or, later, as an event of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from app.conversations.errors import TurnFailed
from app.provider.types import Event, Progress
from app.v2.services.events import EventEncoder
from app.web.sse import EventStream
from tests.conftest import serving
from tests.http.events import parsed
from tests.http.test_errors import SAMPLES

router = APIRouter()


@router.post("/api/v1/fail/{number}")
async def fail(number: int, stored: bool = False) -> EventStream:
    error = SAMPLES[number]
    failed = TurnFailed(error, "c1", "m1") if stored else error
    return EventStream(EventEncoder({}), failing(failed))


async def failing(error: Exception) -> AsyncGenerator[Event, None]:
    yield Progress("loading", 50)
    raise error


@pytest.fixture(scope="module")
def clients(empty_models: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """One server that waits for the first word of a stream, and one that does not."""
    options: dict[str, Any] = {"models_dir": empty_models, "routers": [router]}
    with serving(**options) as patient, serving(**options, stream_patience_seconds=0) as other:
        yield patient, other


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "number", range(len(SAMPLES)), ids=lambda number: type(SAMPLES[number]).__name__
)
def test_an_event_says_what_the_answer_would_have_said(
    clients: tuple[httpx.Client, httpx.Client], number: int, stored: bool
) -> None:
    patient, impatient = clients
    where: dict[str, Any] = {"params": {"stored": stored}, "headers": {"X-Request-ID": "mine"}}
    answer = patient.post(f"/api/v1/fail/{number}", **where)
    late = impatient.post(f"/api/v1/fail/{number}", **where)
    assert answer.status_code == answer.json()["status"]
    assert late.status_code == 200
    assert parsed(late.text)[-1].name == "error"
    assert parsed(late.text)[-1].data == answer.json()
    assert ("conversation_id" in answer.json()) == stored
