"""A file of any of the five types → PNG of the picture alone: upright, RGB, at most so large.

Pillow and its decoders are imported here, and so only in the process that decodes. Colour profiles
are ignored, not converted: the library that converts them is one more parser for a small gain.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageColor, TiffImagePlugin
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.media.orientation import orientation

_READERS: dict[str, type[ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/webp": WebPImageFile,
    "image/bmp": BmpImageFile,
    "image/gif": GifImageFile,
}
# The classes themselves: Image.open would try others, and take a JPEG for an MPO.

_END_OF_PNG = b"\0\0\0\0IEND\xae\x42\x60\x82"

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow imports when it first needs it: then no file can be opened any more.
Image.preinit()
_NEEDED_LATER = (ImageColor, TiffImagePlugin)


class Undecodable(Exception):
    """``str()`` says what is wrong with the file, in one sentence."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a file is, by its header, and how long the longer side may be (0: as it is)."""

    mime: str
    width: int
    height: int
    side: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A PNG and its size in pixels."""

    content: bytes
    width: int
    height: int


def decode(content: bytes, job: Job) -> Drawn:
    """Decode the first frame; raises Undecodable, or whatever the decoder does."""
    Image.MAX_IMAGE_PIXELS = job.width * job.height
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    picture = _loaded(content, job)
    turn = _TURNS.get(orientation(picture.info.get("exif") or b""))
    flat = _on_white(_scaled(_coloured(picture), job.side))
    upright = flat.transpose(turn) if turn is not None else flat
    upright.info.clear()
    sink = BytesIO()
    upright.save(sink, "PNG", compress_level=1)
    return Drawn(sink.getvalue(), *upright.size)


def _loaded(content: bytes, job: Job) -> ImageFile:
    picture = _READERS[job.mime](BytesIO(content))
    _check_size(picture, job)
    if job.side:
        # A JPEG can be decoded at half its size and less; twice the aim is left for quality.
        picture.draft(None, _fitting(picture.size, 2 * job.side))
    drafted = picture.size
    picture.load()
    if picture.size != drafted:
        _check_size(picture, job)
    if job.mime == "image/png" and _END_OF_PNG not in content:
        raise Undecodable("The file is cut off: it has no end.")
    return picture


def _check_size(picture: ImageFile, job: Job) -> None:
    if picture.size != (job.width, job.height):
        held, declared = "{} x {}".format(*picture.size), f"{job.width} x {job.height}"
        raise Undecodable(f"The file says that it is {declared} pixels, but holds {held}.")


def _coloured(picture: Image.Image) -> Image.Image:
    """RGB, or RGBA where some of it is transparent."""
    if picture.mode.startswith("I;16"):
        return _high_bytes(picture).convert("RGB")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _high_bytes(picture: Image.Image) -> Image.Image:
    """16 bits of grey → 8; Pillow's own conversion has clipped instead of scaled."""
    start = 0 if picture.mode.endswith("B") else 1
    return Image.frombytes("L", picture.size, picture.tobytes()[start::2])


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    if not side or max(picture.size) <= side:
        return picture
    return picture.resize(_fitting(picture.size, side), Image.Resampling.LANCZOS)


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size with a longer side of at most ``side`` and the same proportions."""
    share = min(1.0, side / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")
