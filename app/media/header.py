"""What the first bytes of a file say: which type it is, and how many pixels. Decodes nothing.

A file may lie here. The decoder compares, and refuses one that holds another size than it says.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

_MAX_SEGMENTS = 2000
"""Of a JPEG file before its size; a colour profile needs 255 at most."""

_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
"""Their sizes in bytes; two letters alone would make many a text a BMP."""

_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_HAS_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}
_IS_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Header:
    """Type by content, and the size in pixels that the file claims."""

    mime: str
    width: int
    height: int


class SizeUnknown(ValueError):
    """The type is known, but the file does not say how large the picture is."""


def read(content: bytes) -> Header | None:
    """Type and size of a picture; None for what is none of the five types.

    Raises SizeUnknown.
    """
    mime = sniff(content)
    if mime is None:
        return None
    try:
        width, height = _SIZES[mime](content)
    except (struct.error, IndexError) as error:
        raise SizeUnknown from error
    return Header(mime, width, height)


def sniff(content: bytes) -> str | None:
    """The MIME type by content; None for what is none of the five types."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    found = next((mime for magic, mime in _MAGIC.items() if content.startswith(magic)), None)
    if found == "image/bmp" and int.from_bytes(content[14:18], "little") not in _BMP_HEADERS:
        return None
    return found


def _jpeg(content: bytes) -> tuple[int, int]:
    """Size in the first frame header (ITU-T T.81, B.2.2)."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = _NEXT_MARKER.match(content, at)
        if marker is None:
            break
        at, kind = marker.end(), marker[1][0]
        if kind in _IS_FRAME:
            height, width = struct.unpack_from(">HH", content, at + 3)
            return width, height
        if kind not in _HAS_NO_LENGTH:
            at += struct.unpack_from(">H", content, at)[0]
    raise SizeUnknown


def _png(content: bytes) -> tuple[int, int]:
    length, name, width, height = struct.unpack_from(">I4sII", content, 8)
    if (length, name) != (13, b"IHDR"):
        raise SizeUnknown
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _bmp(content: bytes) -> tuple[int, int]:
    short = struct.unpack_from("<I", content, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if short else "<ii", content, 18)
    return width, abs(height)  # negative: the rows begin at the top


def _webp(content: bytes) -> tuple[int, int]:
    """Size of the canvas (RFC 9649, section 2.7), or of the only frame."""
    match content[12:16]:
        case b"VP8X":
            width, wide, height, high = struct.unpack_from("<HBHB", content, 24)
            return (width | wide << 16) + 1, (height | high << 16) + 1
        case b"VP8L" if content[20] == 0x2F:
            bits = struct.unpack_from("<I", content, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if content[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise SizeUnknown


_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"BM": "image/bmp",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}

_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/gif": _gif,
}

MIMES = tuple(_SIZES)
"""The types that are taken."""
