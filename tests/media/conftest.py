from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from app.media.intake import Intake
from app.media.picture import Picture
from app.media.policy import MediaPolicy

Take = Callable[..., Picture]


@pytest.fixture(scope="module")
def take() -> Iterator[Take]:
    """Takes the bytes of a file, as production does; the process that waits is kept between."""
    with asyncio.Runner() as runner:
        intake = Intake(MediaPolicy())
        yield lambda content, *given: runner.run(intake.take_bytes(content, *given))
        runner.run(intake.close())
