"""Every hostile file has its status, and none of them hurts the process that takes it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from app.media.errors import (
    ImageTooLarge,
    ImageTypeMismatch,
    ImageTypeNotSupported,
    ImageUnreadable,
)
from app.web.error_codes import kind_of
from tests.media.conftest import Take
from tests.media.corpus import CORPUS, POLYGLOTS, Outcome
from tests.media.files import bmp, drawing, gif, jpeg, saved, webp

pytestmark = pytest.mark.slow

STATUS = {ImageTooLarge: 413, ImageTypeNotSupported: 415, ImageUnreadable: 422}


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 60


@pytest.mark.parametrize(("make", "outcome"), CORPUS.values(), ids=CORPUS)
def test_a_hostile_file(make: Callable[[], bytes], outcome: Outcome, take: Take) -> None:
    content = make()
    if isinstance(outcome, tuple):
        picture = take(content)
        width, height = picture.width, picture.height
        assert abs(width - outcome[0]) <= 1
        assert abs(height - outcome[1]) <= 1
    else:
        with pytest.raises(outcome) as raised:
            take(content)
        assert type(raised.value) is outcome
        assert kind_of(outcome).status == STATUS[outcome]  # type: ignore[index]
        assert str(raised.value).endswith((".", ")."))


@pytest.mark.parametrize("make", [make for make, _ in POLYGLOTS.values()], ids=POLYGLOTS)
def test_nothing_but_the_picture_is_left_of_a_polyglot(
    make: Callable[[], bytes], take: Take
) -> None:
    content = make()
    assert b"evil" in content
    assert b"evil" not in take(content).content


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (jpeg(), "image/png", "image/jpeg"),
        (saved(drawing(), "PNG"), "image/jpeg", "image/png"),
        (gif(), "image/webp", "image/gif"),
        (jpeg(), "image/svg+xml", "image/jpeg"),
        (jpeg(), "text/html; charset=utf-8", "image/jpeg"),
        (jpeg(), "\ud800" * 1000, "image/jpeg"),
    ],
)
def test_a_lie_about_the_type(content: bytes, declared: str, found: str, take: Take) -> None:
    with pytest.raises(ImageTypeMismatch, match=found) as raised:
        take(content, declared)
    assert len(str(raised.value).encode()) < 1000


SEEDS: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "png": lambda: saved(drawing(), "PNG"),
    "gif": gif,
    "webp": webp,
    "bmp": lambda: saved(drawing(), "BMP"),
    "bmp of runs": lambda: bmp(40, 30, bits=8, compression=1, data=bytes(range(256)) * 4),
}


@pytest.mark.parametrize("name", SEEDS)
def test_random_damage_ends_in_a_picture_or_a_sentence(name: str, take: Take) -> None:
    chance = random.Random(name)
    for _ in range(8):
        content = bytearray(SEEDS[name]())
        for _ in range(chance.choice([1, 3, 30])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            picture = take(bytes(content))
        except (ImageTooLarge, ImageTypeNotSupported, ImageUnreadable) as error:
            sentence = str(error)
        else:
            sentence = Image.open(BytesIO(picture.content)).mode
        assert sentence == "RGB" or sentence.endswith((".", ").")), content.hex()
        assert "crash" not in sentence, content.hex()


SURVIVE = """
import asyncio, resource
from app.errors import AppError
from app.media.intake import Intake
from app.media.policy import MediaPolicy
from tests.media.corpus import BOMBS

def rss(who):
    return resource.getrusage(who).ru_maxrss // 1024

async def main():
    names = ("64 MB", "100 MB", "8 MB", "10,000 frames", "as large as may be")
    files = [make() for name, (make, _) in BOMBS.items() if name.endswith(names) or "100" in name]
    before, intake = rss(resource.RUSAGE_SELF), Intake(MediaPolicy())
    for content in files:
        try:
            await intake.take_bytes(content)
        except AppError:
            pass
    await intake.close()
    print(rss(resource.RUSAGE_SELF) - before, rss(resource.RUSAGE_CHILDREN))

asyncio.run(main())
"""


def test_bombs_take_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SURVIVE], capture_output=True, text=True, timeout=600, check=True
    )
    grown, children = map(int, done.stdout.split())
    assert grown < 60  # MiB: a file of 10 MB on its way, and the largest PNG
    assert children < 400
