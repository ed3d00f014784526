"""``requests`` with an SSE parser of somebody else: whole answers, streams, forms with files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.environments import python_with, run
from tests.media.files import drawing, saved


@pytest.fixture(scope="module")
def report(echo: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the client was told, by what it did."""
    picture: Path = tmp_path_factory.mktemp("pictures") / "a picture.png"
    picture.write_bytes(saved(drawing(), "PNG"))
    python = python_with("requests")
    return json.loads(run(python, "with_requests.py", str(echo.base_url), str(picture)))


def test_a_whole_answer(report: Any) -> None:
    assert report["whole"]["message"]["content"] == "one two three"


def test_a_stream_as_an_sse_parser_reads_it(report: Any) -> None:
    names = [name for name, _ in report["events"]]
    assert (names[0], names[-1]) == ("message", "done")
    assert "".join(data["text"] for name, data in report["events"] if name == "delta") == (
        "one two three"
    )


def test_a_form_with_a_file(report: Any) -> None:
    (image,) = report["seen"]["images"]
    assert (image["width"], image["height"]) == (40, 30)


def test_a_refusal_is_a_problem(report: Any) -> None:
    status, kind, problem = report["refused"]
    assert (status, kind) == (422, "application/problem+json")
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("invalid-request", "/message")
