"""The echo that answers as slowly as a model does."""

from __future__ import annotations

import time
from pathlib import Path

from tests.conftest import serving


def test_an_echo_speaks_at_the_chosen_speed(empty_models: Path) -> None:
    with serving(models_dir=empty_models, echo_words_per_second=10) as client:
        client.post("/api/v1/chat", json={"message": "loaded"})
        begun = time.monotonic()
        answer = client.post("/api/v1/chat", json={"message": "one two three four"})
        assert time.monotonic() - begun >= 0.4
    assert answer.json()["message"]["content"] == "one two three four"
