"""How much a picture may cost."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_SIDE = 65535
"""Pixels; no format but PNG and BMP goes beyond, and no camera does."""

LOW_DETAIL_SIDE = 512
"""Pixels of the longer side of a picture that is sent with ``"detail": "low"``."""


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """Bounds of what clients send.

    ``max_bytes`` and ``max_pixels`` are of one file, ``max_side`` (0: any) is what the longer side
    is scaled down to, ``max_images`` is per request. Decoding a picture may take ``seconds``, and
    so may fetching it. ``workers`` pictures are decoded at once while ``max_waiting`` wait.
    """

    max_bytes: int = 10 * 2**20
    max_pixels: int = 40_000_000
    max_side: int = 2048
    max_images: int = 8
    seconds: float = 10.0
    urls: bool = False
    url_ports: tuple[int, ...] = (80, 443)
    workers: int = 2
    max_waiting: int = 32
