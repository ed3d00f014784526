"""Pictures, good and hostile, made here: no file in the repository is an attack."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def drawing(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Red left half, blue right half; the top left eighth is green."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    image.paste("lime", (0, 0, size[0] // 4, size[1] // 2))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    sink = BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def jpeg(**options: Any) -> bytes:
    return saved(drawing(), "JPEG", quality=95, subsampling=0, **options)


def chunk(
    name: bytes, content: bytes, *, crc: int | None = None, length: int | None = None
) -> bytes:
    checksum = zlib.crc32(name + content) if crc is None else crc
    size = len(content) if length is None else length
    return struct.pack(">I", size) + name + content + struct.pack(">I", checksum)


def ihdr(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png(
    width: int = 4,
    height: int = 4,
    *,
    more: bytes = b"",
    pixels: bytes | None = None,
    bits: int = 8,
    colour: int = 2,
) -> bytes:
    """A PNG with ``more`` chunks before its pixels; grey-black ones, if none are given."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 3)
    row = 1 + (width * channels * bits + 7) // 8
    data = zlib.compress(bytes(row * height) if pixels is None else pixels, 9)
    head = b"\x89PNG\r\n\x1a\n" + ihdr(width, height, bits, colour)
    return head + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed(size: int) -> bytes:
    """``size`` zeros, compressed a thousandfold."""
    return zlib.compress(bytes(size), 9)


def gif(frames: int = 1, screen: tuple[int, int] = (40, 30)) -> bytes:
    """A GIF that repeats its only frame."""
    plain = saved(drawing("P", (40, 30)), "GIF")
    at = plain.index(b",", 13 + 3 * 256 if plain[10] & 7 == 7 else 13)
    frame = plain[at:-1]
    return plain[:6] + struct.pack("<HH", *screen) + plain[10:at] + frame * frames + b";"


def exif(orientation: int, order: str = "<") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    offset, count = struct.pack(order + "I", 8), struct.pack(order + "H", 1)
    return b"Exif\0\0" + head + offset + count + entry + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments: bytes) -> bytes:
    whole = jpeg()
    return whole[:2] + b"".join(segments) + whole[2:]


def jpeg_sized(width: int, height: int) -> bytes:
    """A JPEG whose frame header lies about its size."""
    whole = jpeg()
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", height, width) + whole[at + 4 :]


def many_scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan: each costs a pass over all pixels."""
    whole = saved(drawing(size=(2000, 2000)), "JPEG", progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + scan * count + whole[-2:]


def bmp(
    width: int, height: int, *, bits: int = 24, compression: int = 0, data: bytes = b""
) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    palette = bytes(4 * 2**bits) if bits <= 8 else b""
    offset = 14 + len(head) + len(palette)
    file = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
    return file + head + palette + data


def webp(**options: Any) -> bytes:
    return saved(drawing(), "WEBP", **options)


def webp_extended(width: int, height: int) -> bytes:
    """A WebP whose canvas is said to be another size than its only frame."""
    frame = webp()[12:]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(kind: str, frames: int) -> bytes:
    pictures = [drawing(size=(40, 30 + 0 * n)).rotate(n) for n in range(frames)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:])
