"""Where a picture comes from, and the bytes of one that is sent as text."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Literal

from app.media.errors import ImageTypeMismatch, ImageUnreadable
from app.media.picture import check_bytes, plain_mime
from app.media.policy import MediaPolicy

Detail = Literal["auto", "low", "high"]

_LINE_BREAKS = ("\r", "\n", "%0D", "%0A", "%0d", "%0a")
"""No part of base64 has a percent sign, so the escapes can be nothing else."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where one image comes from: the text of its file (``base64``), or its address (``url``).

    ``base64`` may be a data: URL, and ``url`` too, which is then read as ``base64``. ``mime`` is
    the type that the file is declared as.
    """

    base64: str | None = None
    url: str | None = None
    mime: str | None = None
    detail: Detail = "auto"

    @property
    def text(self) -> str | None:
        """The file as base64 or as a data: URL; None when it has to be fetched."""
        if self.url is not None and _is_data(self.url):
            return self.url
        return self.base64


def content_of(text: str, declared: str | None, policy: MediaPolicy) -> tuple[bytes, str]:
    """The bytes of strict base64 (RFC 4648) or a data: URL, and the type they are declared as.

    Lines may be broken, as most tools do (RFC 2045). Raises ImageTooLarge, ImageUnreadable,
    ImageTypeMismatch (of two declarations).
    """
    mime = plain_mime(declared)
    if _is_data(text):
        stated, text = _parts(text)
        if mime and stated and mime != stated:
            raise ImageTypeMismatch(mime, f"a data: URL of {stated[:100]!r}")
        mime = mime or stated
    text = _joined(text)
    check_bytes(len(text) // 4 * 3 - 2, policy)
    try:
        return binascii.a2b_base64(text, strict_mode=True), mime
    except ValueError as error:
        raise ImageUnreadable(
            "The image is not valid base64: only A-Z, a-z, 0-9, + and / with = at the end, "
            "and nothing between but line breaks."
        ) from error


def _is_data(text: str) -> bool:
    return text[:5].lower() == "data:"


def _joined(lines: str) -> str:
    """The text without its line breaks, which a URL may have escaped."""
    for line_break in _LINE_BREAKS:
        lines = lines.replace(line_break, "")
    return lines


def _parts(url: str) -> tuple[str, str]:
    """The type and the base64 of a data: URL (RFC 2397)."""
    comma = url.find(",", 0, 300)
    about = url[5:comma].lower()
    if comma < 0 or not about.endswith(";base64"):
        raise ImageUnreadable("A data: URL must be like data:image/png;base64, and then base64.")
    return plain_mime(about.removesuffix(";base64")), url[comma + 1 :]
