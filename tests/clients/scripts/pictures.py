"""A picture that a script sends."""

import base64
import struct
import zlib


def red_square() -> str:
    """A PNG of 32 by 32 pixels in base64."""
    rows = b"".join(b"\0" + b"\xff\0\0" * 32 for _ in range(32))
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return base64.b64encode(png).decode()
