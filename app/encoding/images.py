"""Pictures to encode, as clients name them: by one text."""

from __future__ import annotations

from app.media.image_source import ImageSource

_ADDRESSES = ("http://", "https://", "data:")


def image_source(text: str) -> ImageSource:
    """The picture that an address, a data: URL or base64 stands for."""
    if text[:8].lower().startswith(_ADDRESSES):
        return ImageSource(url=text)
    return ImageSource(base64=text)
