"""A picture as the rest of the program knows it, and the checks before one is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.media.errors import (
    ImageTooLarge,
    ImageTypeMismatch,
    ImageTypeNotSupported,
    ImageUnreadable,
)
from app.media.header import Header, SizeUnknown, read
from app.media.policy import LONGEST_SIDE, MediaPolicy

_SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
}
"""Other names of the five types."""

_SAYS_NOTHING = {"", "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the type it was declared as."""

    content: bytes = field(repr=False)
    mime: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a model gets it, and what it was made from.

    ``content`` is a PNG in RGB, upright, without metadata, of ``width`` x ``height`` pixels;
    ``mime`` is its type, ``sha256`` (hex) its hash. ``original_mime``, ``original_width``,
    ``original_height`` (as the file says, before it is turned upright) and ``original_bytes`` are
    of the file.
    """

    content: bytes
    mime: str
    width: int
    height: int
    original_mime: str
    original_width: int
    original_height: int
    original_bytes: int
    sha256: str


def plain_mime(declared: str | None) -> str:
    """The usual name of a declared type, without parameters; empty: it says nothing."""
    mime = (declared or "").partition(";")[0].strip().lower()
    return "" if mime in _SAYS_NOTHING else _SAME.get(mime, mime)


def check_bytes(size: int, policy: MediaPolicy) -> None:
    """Raise ImageTooLarge for too many bytes."""
    if size > policy.max_bytes:
        raise ImageTooLarge(
            f"The image is larger than {policy.max_bytes} bytes (the setting MAX_IMAGE_BYTES)."
        )


def inspect(content: bytes, declared: str | None, policy: MediaPolicy) -> Header:
    """Check a file by its first bytes, without decoding it.

    Raises ImageTooLarge, ImageTypeNotSupported, ImageTypeMismatch, ImageUnreadable.
    """
    check_bytes(len(content), policy)
    header = _header(content)
    if plain_mime(declared) not in {"", header.mime}:
        raise ImageTypeMismatch(declared or "", header.mime)
    _check_pixels(header, policy)
    return header


def _header(content: bytes) -> Header:
    try:
        header = read(content)
    except SizeUnknown as error:
        line = "The file is damaged or cut off: it does not say how large the picture is."
        raise ImageUnreadable(line) from error
    if header is None:
        raise ImageTypeNotSupported(
            "The file is not an image of a type that is taken: JPEG, PNG, WebP, BMP or GIF."
        )
    return header


def _check_pixels(header: Header, policy: MediaPolicy) -> None:
    size = f"{header.width} x {header.height}"
    if header.width < 1 or header.height < 1:
        raise ImageUnreadable(f"The file says that it is {size} pixels: there is nothing in it.")
    if header.width * header.height > policy.max_pixels:
        raise ImageTooLarge(
            f"The image is {size} pixels; {policy.max_pixels} are the most "
            "(the setting MAX_IMAGE_PIXELS)."
        )
    if max(header.width, header.height) > LONGEST_SIDE:
        raise ImageTooLarge(f"The image is {size} pixels; a side has {LONGEST_SIDE} at most.")
