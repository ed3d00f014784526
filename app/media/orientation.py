"""Which way up a photograph is, from its EXIF data; everything else in there is dropped."""

from __future__ import annotations

import struct

_TAG, _SHORT = 0x0112, 3
_MAX_ENTRIES = 200


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8 (EXIF 2.32, 4.6.4); 1 when there is none or the data is broken."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        return _find(exif, order)
    except struct.error:
        return 1


def _find(exif: bytes, order: str) -> int:
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    for index in range(min(count, _MAX_ENTRIES)):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * index)
        if (tag, kind) == (_TAG, _SHORT):
            return value if value in range(1, 9) else 1
    return 1
