"""The model that comes with the repository, through the whole server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.events import parsed

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"

QUESTIONS = ["Hello! What are you?", "안녕하세요?", "How do I stream?", "Where are the docs?"]


@pytest.fixture(scope="module")
def starter() -> Iterator[httpx.Client]:
    with serving(models_dir=MODELS, enable_echo=False) as client:
        yield client


def answer(starter: httpx.Client, question: str) -> str:
    greedy: dict[str, Any] = {"message": question, "temperature": 0, "max_tokens": 40}
    response = starter.post("/api/v1/chat", json=greedy)
    assert response.status_code == 200, response.text
    text: str = response.json()["message"]["content"]
    return text


def test_it_is_the_default_and_answers(starter: httpx.Client) -> None:
    body = starter.post("/api/v1/chat", json={"message": QUESTIONS[0]}).json()
    assert body["model"] == "starter"
    assert body["message"]["content"]
    assert body["usage"]["prompt_tokens"] > 0


def test_every_example_in_the_docs_runs_on_it(starter: httpx.Client) -> None:
    paths = starter.get("/api/v2/openapi.json").json()["paths"]
    for path in ("/api/v2/chat", "/api/v2/chat/stream"):
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            response = starter.post(path, json=example["value"])
            assert response.status_code == 200, response.text
            if path.endswith("stream"):
                assert parsed(response.text)[-1].name == "done"


def test_32_at_once_answer_as_each_would_alone(starter: httpx.Client) -> None:
    alone = [answer(starter, question) for question in QUESTIONS]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(lambda each: answer(starter, each), QUESTIONS * 8))
    assert together == alone * 8
    assert len(set(alone)) == len(QUESTIONS)
