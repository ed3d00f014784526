"""Base64 and data: URLs."""

from __future__ import annotations

import asyncio
import base64
from base64 import b64encode

import pytest
from pydantic import ValidationError

from app.media.errors import (
    ImageTooLarge,
    ImageTypeMismatch,
    ImageTypeNotSupported,
    ImageUnreadable,
    ImageUrlsOff,
)
from app.media.image_source import ImageSource, content_of
from app.media.intake import Intake
from app.media.picture import Picture
from app.media.policy import MediaPolicy
from app.v5.models.images import SentImage
from tests.media.files import drawing, jpeg, saved

FILE = saved(drawing(), "PNG")
TEXT = b64encode(FILE).decode()


def take(source: ImageSource) -> Picture:
    async def taken() -> Picture:
        intake = Intake(MediaPolicy())
        try:
            return await intake.take(source)
        finally:
            await intake.close()

    return asyncio.run(taken())


@pytest.mark.parametrize(
    "given",
    [
        ImageSource(base64=TEXT),
        ImageSource(base64=TEXT, mime="image/png"),
        ImageSource(base64=f"data:image/png;base64,{TEXT}"),
        ImageSource(url=f"data:image/png;base64,{TEXT}"),
        ImageSource(url=f"DATA:image/png;charset=x;BASE64,{TEXT}", mime="image/png"),
        ImageSource(url=f"data:;base64,{TEXT}"),
    ],
)
def test_a_picture_as_text(given: ImageSource) -> None:
    """A data: URL is not fetched, and so needs no leave."""
    assert take(given).original_bytes == len(FILE)


def lines(text: str, line_break: str, length: int = 76) -> str:
    """As RFC 2045 and most tools write it."""
    pieces = [text[at : at + length] for at in range(0, len(text), length)]
    return line_break.join(pieces) + line_break


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\n\n", "%0A", "%0d%0a"])
@pytest.mark.parametrize("length", [1, 3, 64, 76])
def test_lines_may_be_broken(line_break: str, length: int) -> None:
    text = lines(TEXT, line_break, length)
    for given in (text, f"data:image/png;base64,{text}"):
        assert content_of(given, None, MediaPolicy())[0] == FILE


def test_what_tools_write_is_taken() -> None:
    written = base64.encodebytes(FILE).decode()
    assert take(ImageSource(base64=written)).original_bytes == len(FILE)
    url = "data:image/png;base64," + base64.b64encode(FILE).decode() + "\r\n"
    assert take(ImageSource(url=url)).original_bytes == len(FILE)


def test_line_breaks_do_not_count_as_bytes_of_the_file() -> None:
    policy = MediaPolicy(max_bytes=3000)
    assert content_of(lines("A" * 4000, "\r\n", 4), None, policy) == (bytes(3000), "")
    with pytest.raises(ImageTooLarge):
        content_of(lines("A" * 4008, "\r\n"), None, policy)


@pytest.mark.parametrize(
    "text",
    [
        " " + TEXT,
        TEXT[:40] + " " + TEXT[40:],
        TEXT[:40] + "\t" + TEXT[40:],
        TEXT[:40] + "\u2028" + TEXT[40:],
        TEXT[:40] + "\\n" + TEXT[40:],
        TEXT[:40] + "%20" + TEXT[40:],
        TEXT[:41] + "\n",
        "AAAA=\n=AA",
        "=\n===",
        TEXT.rstrip("=") + "===",
        TEXT[:41],
        TEXT[:-4] + "=" + TEXT[-3:],
        "AAAA=AAA",
        "====",
        "AA-_",
        "\u00e9" * 8,
        "\ud800" * 8,
        "AAAA\0AAA",
        "data:image/png;base64",
        f"data:image/png,{TEXT}",
        f"data:image/png;base64;{TEXT}",
        f"data:image/png;base64,{TEXT} ",
        f"data:image/png;base64,%{TEXT}",
        f"data:{'x' * 400};base64,{TEXT}",
        "data:,hello",
    ],
)
def test_a_text_that_is_no_base64(text: str) -> None:
    with pytest.raises(ImageUnreadable):
        take(ImageSource(base64=text))


@pytest.mark.parametrize("text", ["", "data:image/png;base64,", b64encode(b"<svg/>").decode()])
def test_a_text_that_is_no_picture(text: str) -> None:
    with pytest.raises(ImageTypeNotSupported):
        take(ImageSource(base64=text))


def test_a_lie_about_the_type() -> None:
    for given in (
        ImageSource(base64=TEXT, mime="image/jpeg"),
        ImageSource(base64=f"data:image/jpeg;base64,{TEXT}"),
        ImageSource(url=f"data:image/png;base64,{b64encode(jpeg()).decode()}"),
        ImageSource(url=f"data:image/png;base64,{TEXT}", mime="image/jpeg"),
        ImageSource(url=f"data:image/jpeg;base64,{TEXT}", mime="image/png"),
    ):
        with pytest.raises(ImageTypeMismatch):
            take(given)


def test_a_text_that_is_too_long_is_not_even_read() -> None:
    policy = MediaPolicy(max_bytes=3000)
    with pytest.raises(ImageTooLarge):
        content_of("!" * 4008, None, policy)  # not base64 either, which nobody notices
    assert content_of("A" * 4000, None, policy) == (bytes(3000), "")


def test_a_url_is_not_fetched_by_default() -> None:
    with pytest.raises(ImageUrlsOff):
        take(ImageSource(url="https://pictures.example/a.png"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"base64": "AAAA", "url": "data:,"},
        {"base64": "AAAA", "detail": "huge"},
        {"base64": 5},
        {"base64": "AAAA", "path": "/etc/passwd"},
        {"base64": "AAAA", "mime": "x" * 101},
    ],
)
def test_what_is_given_is_one_of_two(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SentImage.model_validate(body)
