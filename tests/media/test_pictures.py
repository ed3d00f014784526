"""Good files of every kind become the right pixels."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image, ImageChops, PngImagePlugin

from app.media.errors import ImageUnreadable, TooManyImages
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.media.picture import Picture
from app.media.policy import MediaPolicy
from tests.media.conftest import Take
from tests.media.files import chunk, drawing, exif, gif, jpeg, jpeg_with, png, saved, segment, webp

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def pixels(picture: Picture) -> Image.Image:
    image = Image.open(BytesIO(picture.content))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (picture.width, picture.height))
    return image


def corners(picture: Picture) -> list[tuple[int, ...]]:
    """The four corners: top left, top right, bottom left, bottom right."""
    image = pixels(picture)
    right, bottom = image.width - 1, image.height - 1
    found = [image.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]
    return [tuple(one) for one in found]  # type: ignore[arg-type]


def is_like(picture: Picture, image: Image.Image, by: int) -> bool:
    difference = ImageChops.difference(pixels(picture), image).getextrema()
    return all(most <= by for _, most in difference)  # type: ignore[misc]


GOOD: dict[str, tuple[Callable[[], bytes], int]] = {
    "png": (lambda: saved(drawing(), "PNG"), 0),
    "png with a palette": (lambda: saved(drawing("P"), "PNG"), 0),
    "png with opaque alpha": (lambda: saved(drawing("RGBA"), "PNG"), 0),
    "png with a resolution": (lambda: saved(drawing(), "PNG", dpi=(72, 72)), 0),
    "bmp": (lambda: saved(drawing(), "BMP"), 0),
    "bmp with a palette": (lambda: saved(drawing("P"), "BMP"), 0),
    "gif": (lambda: saved(drawing("P"), "GIF"), 0),
    "webp without loss": (lambda: webp(lossless=True), 0),
    "jpeg": (jpeg, 12),
    "jpeg in CMYK": (lambda: saved(drawing("CMYK"), "JPEG", quality=95, subsampling=0), 40),
    "jpeg progressive": (lambda: jpeg(progressive=True), 12),
}


@pytest.mark.parametrize(("make", "by"), GOOD.values(), ids=GOOD)
def test_a_good_file(make: Callable[[], bytes], by: int, take: Take) -> None:
    content = make()
    picture = take(content)
    assert is_like(picture, drawing(), by)
    assert picture.mime == "image/png"
    assert (picture.original_width, picture.original_height) == (40, 30)
    assert picture.original_bytes == len(content)
    assert picture.sha256 == hashlib.sha256(picture.content).hexdigest()


def test_a_jpeg_whose_tables_come_before_its_size(take: Take) -> None:
    whole = jpeg()
    at = whole.index(b"\xff\xc4")
    table = whole[at : at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")]
    assert is_like(take(jpeg_with(table)), drawing(), 12)


def test_an_empty_picture_never_comes_to_the_decoder(take: Take) -> None:
    with pytest.raises(ImageUnreadable, match="0 x 4 pixels: there is nothing"):
        take(png(0, 4))


def test_a_webp_with_loss(take: Take) -> None:
    due = [(0, 255, 0), (0, 0, 255), (255, 0, 0), (0, 0, 255)]
    seen = corners(take(webp(quality=100)))
    assert all(
        abs(a - b) < 40 for x, y in zip(seen, due, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_photograph_upright(orientation: int, order: str, take: Take) -> None:
    """The file holds the drawing as a camera in that position would store it."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = drawing() if stored is None else drawing().transpose(stored)
    about = exif(orientation, order)
    photograph = saved(image, "JPEG", quality=95, subsampling=0, exif=about)
    assert is_like(take(photograph), drawing(), 60)  # at edges
    if order == "<":
        assert is_like(take(saved(image, "PNG", exif=about)), drawing(), 0)
        assert is_like(take(saved(image, "WEBP", lossless=True, exif=about)), drawing(), 0)


def test_what_is_transparent_is_white(take: Take) -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    palette = Image.new("P", (4, 4))
    colours = chunk(b"PLTE", bytes(3)) + chunk(b"tRNS", b"\0")
    assert corners(take(saved(clear, "PNG"))) == [WHITE] * 4
    assert corners(take(saved(clear, "WEBP", lossless=True))) == [WHITE] * 4
    assert corners(take(saved(half, "PNG"))) == [(127, 127, 127)] * 4
    assert corners(take(saved(half.convert("LA"), "PNG"))) == [(127, 127, 127)] * 4
    assert corners(take(saved(palette, "GIF", transparency=0))) == [WHITE] * 4
    assert corners(take(png(colour=3, more=colours))) == [WHITE] * 4
    assert corners(take(png(more=chunk(b"tRNS", bytes(6))))) == [WHITE] * 4
    assert corners(take(png(colour=0, more=chunk(b"tRNS", bytes(2))))) == [WHITE] * 4


@pytest.mark.parametrize(
    ("bits", "colour", "sample"), [(16, 0, b"\x80\xff"), (16, 2, b"\x80\xff" * 3), (8, 0, b"\x80")]
)
def test_grey_and_16_bits(bits: int, colour: int, sample: bytes, take: Take) -> None:
    picture = take(png(bits=bits, colour=colour, pixels=(b"\0" + sample * 4) * 4))
    assert corners(picture) == [(128, 128, 128)] * 4


def test_black_and_white(take: Take) -> None:
    assert corners(take(png(8, 1, bits=1, colour=0, pixels=b"\0\x80"))) == [WHITE, BLACK] * 2


def test_a_bmp_that_begins_at_the_top(take: Take) -> None:
    content = bytearray(saved(drawing(), "BMP"))
    content[22:26] = struct.pack("<i", -30)
    assert is_like(take(bytes(content)), drawing().transpose(Image.Transpose.FLIP_TOP_BOTTOM), 0)


def test_the_first_frame_is_the_picture(take: Take) -> None:
    frames = [drawing(), Image.new("RGB", (40, 30), "black")]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert is_like(take(content), drawing(), 0), kind
    assert is_like(take(gif(3)), drawing(), 0)


def test_nothing_is_left_of_what_is_not_the_picture(take: Take) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "a secret")
    tagged = saved(drawing(), "PNG", pnginfo=texts, icc_profile=b"a secret" * 99, dpi=(300, 300))
    photograph = jpeg_with(
        segment(0xE1, exif(1) + b"a secret place"),
        segment(0xE2, b"ICC_PROFILE\0\1\1a secret"),
        segment(0xFE, b"a secret"),
    )
    for content in (tagged, photograph):
        cleaned = take(content).content
        names = [cleaned[at + 4 : at + 8] for at in chunks(cleaned)]
        assert set(names) == {b"IHDR", b"IDAT", b"IEND"}


def chunks(content: bytes) -> list[int]:
    at, found = 8, []
    while at < len(content):
        found.append(at)
        at += 12 + struct.unpack_from(">I", content, at)[0]
    return found


def test_a_large_picture_is_scaled_down(take: Take) -> None:
    for kind in ("JPEG", "PNG"):
        picture = take(saved(drawing(size=(4000, 1000)), kind))
        assert (picture.width, picture.height) == (2048, 512)
        assert (picture.original_width, picture.original_height) == (4000, 1000)
        low = take(saved(drawing(size=(4000, 1000)), kind), None, "low")
        assert (low.width, low.height) == (512, 128)
        assert is_like_roughly(low, drawing(size=(512, 128)))
    assert (take(saved(drawing(size=(5000, 2)), "PNG")).height) == 1


def is_like_roughly(picture: Picture, image: Image.Image) -> bool:
    """Apart from the edges, which scaling blurs."""
    points = [(10, 10), (100, 100), (300, 10), (500, 120), (150, 20)]
    seen, due = pixels(picture), image
    return all(
        abs(a - b) < 12
        for point in points
        for a, b in zip(seen.getpixel(point), due.getpixel(point), strict=True)  # type: ignore[arg-type]
    )


async def test_no_bound_and_too_many() -> None:
    intake = Intake(MediaPolicy(max_side=0, max_images=2))
    large = saved(drawing(size=(3000, 20)), "PNG")
    assert (await intake.take_bytes(large)).width == 3000
    assert (await intake.take_bytes(large, detail="low")).width == 512
    given = ImageSource(base64="AAAA")
    with pytest.raises(TooManyImages, match="3 images; 2 are"):
        await intake.take_all([given] * 3)
    await intake.close()


def test_the_same_file_gives_the_same_bytes(take: Take) -> None:
    assert take(jpeg()) == take(jpeg())


@pytest.mark.parametrize(
    "declared", [None, "", "image/jpg", "IMAGE/JPEG; q=1", "application/octet-stream"]
)
def test_names_of_a_type(declared: str | None, take: Take) -> None:
    assert take(jpeg(), declared).original_mime == "image/jpeg"
