"""The hostile files, and what becomes of each: an error, or a picture of that size."""

from __future__ import annotations

from collections.abc import Callable

from app.media.errors import ImageTooLarge, ImageTypeNotSupported, ImageUnreadable
from tests.media.files import (
    animated,
    bmp,
    chunk,
    drawing,
    exif,
    gif,
    ihdr,
    jpeg,
    jpeg_sized,
    jpeg_with,
    packed,
    png,
    saved,
    segment,
    webp,
    webp_extended,
)

Outcome = type[Exception] | tuple[int, int]

MEGABYTE = 2**20
PNG = b"\x89PNG\r\n\x1a\n"
WHOLE = (40, 30)

BOMBS: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    "png 50k x 50k": (lambda: png(50_000, 50_000, pixels=bytes(100)), ImageTooLarge),
    "png 2^31 wide": (lambda: png(2**31, 1, pixels=bytes(100)), ImageTooLarge),
    "png 1 x 1 million": (lambda: png(1, 10**6, bits=1, colour=0), ImageTooLarge),
    "png as large as may be": (
        lambda: png(6000, 6600, bits=1, colour=0),
        (2048 * 6000 // 6600, 2048),
    ),
    "png with a text of 64 MB": (
        lambda: png(more=chunk(b"zTXt", b"a\0\0" + packed(64 * MEGABYTE))),
        ImageUnreadable,
    ),
    "png with 100 texts of 1 MB": (
        lambda: png(more=chunk(b"zTXt", b"a\0\0" + packed(MEGABYTE)) * 100),
        ImageUnreadable,
    ),
    "png with an international text of 64 MB": (
        lambda: png(more=chunk(b"iTXt", b"a\0\1\0\0\0" + packed(64 * MEGABYTE))),
        ImageUnreadable,
    ),
    "png with a profile of 64 MB": (
        lambda: png(more=chunk(b"iCCP", b"a\0\0" + packed(64 * MEGABYTE))),
        ImageUnreadable,
    ),
    "png with 50,000 chunks": (lambda: png(more=chunk(b"abCd", b"") * 50_000), (4, 4)),
    "png with 100 MB behind one pixel": (lambda: png(1, 1, pixels=bytes(100 * MEGABYTE)), (1, 1)),
    "png animated": (lambda: animated("PNG", 30), WHOLE),
    "gif with 10,000 frames": (lambda: gif(10_000), WHOLE),
    "gif 65535 x 65535": (lambda: gif(screen=(65535, 65535)), ImageTooLarge),
    "gif with a comment of 4 MB": (
        lambda: gif().replace(b",", b"!\xfe" + (b"\xff" + bytes(255)) * 16_000 + b"\0,", 1),
        WHOLE,
    ),
    "jpeg 65535 x 65535": (lambda: jpeg_sized(65535, 65535), ImageTooLarge),
    "jpeg with 10,000 comments": (
        lambda: jpeg_with(segment(0xFE, b"x") * 10_000),
        ImageUnreadable,
    ),
    "jpeg with a profile of 8 MB": (
        lambda: jpeg_with(
            *(
                segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 130]) + bytes(65_000))
                for n in range(1, 131)
            )
        ),
        WHOLE,
    ),
    "webp 16 million wide": (lambda: webp_extended(2**24, 1), ImageTooLarge),
    "webp 16k x 16k": (lambda: webp_extended(16384, 16384), ImageTooLarge),
    "webp animated": (lambda: animated("WEBP", 30), WHOLE),
    "bmp 2 billion wide": (lambda: bmp(2**31 - 1, 1), ImageTooLarge),
    "bmp upside down 2^31": (lambda: bmp(1, -(2**31)), ImageTooLarge),
    "bmp of runs, 25 million pixels of nothing": (
        lambda: bmp(5000, 5000, bits=8, compression=1, data=b"\0\1"),
        ImageUnreadable,
    ),
    "more bytes than may be": (lambda: jpeg() + bytes(10 * MEGABYTE), ImageTooLarge),
}

DAMAGED: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    "jpeg cut after 3 bytes": (lambda: jpeg()[:3], ImageUnreadable),
    "jpeg cut in its header": (lambda: jpeg()[:100], ImageUnreadable),
    "jpeg cut after its header": (lambda: jpeg()[: jpeg().index(b"\xff\xda")], ImageUnreadable),
    "jpeg cut in the middle": (lambda: jpeg()[: -len(jpeg()) // 6], ImageUnreadable),
    # As in browsers: what is missing is grey. The decoder does not tell.
    "jpeg larger than its content": (lambda: jpeg_sized(400, 3000), (273, 2048)),
    "jpeg without height": (lambda: jpeg_sized(40, 0), ImageUnreadable),
    "jpeg with two sizes": (
        lambda: jpeg_with(jpeg_sized(8, 8)[jpeg().index(b"\xff\xc0") :][:19]),
        ImageUnreadable,
    ),
    "jpeg of magic alone": (lambda: b"\xff\xd8\xff" + bytes(1000), ImageUnreadable),
    "jpeg with broken exif": (lambda: jpeg(exif=b"Exif\0\0II*\0" + b"\xff" * 40), WHOLE),
    "jpeg with an exif offset far away": (
        lambda: jpeg(exif=b"Exif\0\0MM\0*\x7f\xff\xff\xff"),
        WHOLE,
    ),
    "jpeg with 65535 exif entries": (
        lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60_000)),
        WHOLE,
    ),
    "jpeg with orientation 9": (lambda: jpeg(exif=exif(9)), WHOLE),
    "png cut in its magic": (lambda: PNG[:6], ImageTypeNotSupported),
    "png cut in its header": (lambda: png()[:20], ImageUnreadable),
    "png of a header alone": (lambda: PNG + ihdr(4, 4), ImageUnreadable),
    "png cut in its pixels": (lambda: saved(drawing(), "PNG")[:60], ImageUnreadable),
    "png without an end": (lambda: png()[:-12], ImageUnreadable),
    "png cut by one byte": (lambda: png()[:-1], ImageUnreadable),
    "png without pixels": (lambda: PNG + ihdr(4, 4) + chunk(b"IEND", b""), ImageUnreadable),
    "png of width 0": (lambda: png(0, 4), ImageUnreadable),
    "png of height 0": (lambda: png(4, 0), ImageUnreadable),
    "png with two headers, the second smaller": (
        lambda: png(40, 30, more=ihdr(4, 4)),
        ImageUnreadable,
    ),
    "png with two headers": (lambda: png(more=ihdr(9000, 9000)), ImageUnreadable),
    "png with fewer pixels than it says": (
        lambda: png(400, 400, pixels=bytes(50)),
        ImageUnreadable,
    ),
    "png with a wrong checksum": (
        lambda: PNG + chunk(b"IHDR", ihdr(4, 4)[8:-4], crc=1) + png()[33:],
        ImageUnreadable,
    ),
    "png with a wrong checksum of a text": (
        lambda: png(more=chunk(b"PLTE", bytes(6), crc=7)),
        ImageUnreadable,
    ),
    "png with a chunk of 4 GB": (
        lambda: png(more=chunk(b"tEXt", b"a\0b", length=2**32 - 1)),
        ImageUnreadable,
    ),
    "png of no known colours": (lambda: png(bits=7, colour=5), ImageUnreadable),
    "png whose pixels are not compressed": (
        lambda: PNG + ihdr(4, 4) + chunk(b"IDAT", bytes(52)) + chunk(b"IEND", b""),
        ImageUnreadable,
    ),
    "gif cut in its header": (lambda: gif()[:8], ImageUnreadable),
    "gif cut in its palette": (lambda: gif()[:50], ImageUnreadable),
    "gif cut in its frame": (lambda: gif()[:-40], ImageUnreadable),
    "gif without a frame": (lambda: gif(0), ImageUnreadable),
    "gif of size 0": (lambda: gif(screen=(0, 30)), ImageUnreadable),
    "gif with a frame beyond its screen": (lambda: gif(screen=(4, 4)), ImageUnreadable),
    "webp cut in its header": (lambda: webp()[:20], ImageUnreadable),
    "webp cut in the middle": (lambda: webp()[: len(webp()) // 2], ImageUnreadable),
    "webp of an unknown kind": (lambda: webp().replace(b"VP8 ", b"VP9 "), ImageUnreadable),
    "webp with a frame of another size": (lambda: webp_extended(400, 300), ImageUnreadable),
    "bmp cut in its header": (lambda: bmp(4, 4)[:22], ImageUnreadable),
    "bmp without pixels": (lambda: bmp(40, 40), ImageUnreadable),
    "bmp cut in the middle": (lambda: saved(drawing(), "BMP")[:2000], ImageUnreadable),
    "bmp of 3 bits": (lambda: bmp(4, 4, bits=3, data=bytes(64)), ImageUnreadable),
    "bmp of a negative width": (lambda: bmp(-4, 4, data=bytes(64)), ImageUnreadable),
    "bmp of an unknown compression": (
        lambda: bmp(4, 4, compression=77, data=bytes(64)),
        ImageUnreadable,
    ),
    "a text that begins with BM": (lambda: b"BMW is a make. " * 9, ImageTypeNotSupported),
}

OTHERS: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    name: (lambda content=content: content, ImageTypeNotSupported)  # type: ignore[misc]
    for name, content in {
        "nothing": b"",
        "one byte": b"\xff",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "svg as xml": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        "tiff": b"II*\0\x08\0\0\0" + bytes(100),
        "big-endian tiff": b"MM\0*\0\0\0\x08" + bytes(100),
        "ico": b"\0\0\1\0\1\0\x10\x10" + bytes(100),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n(rm -rf) print",
        "pdf": b"%PDF-1.7\n",
        "psd": b"8BPS\0\1" + bytes(100),
        "heic": b"\0\0\0\x18ftypheic" + bytes(100),
        "avif": b"\0\0\0\x1cftypavif" + bytes(100),
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "ppm": b"P6 4 4 255 " + bytes(48),
        "video": b"\0\0\0\x18ftypmp42" + bytes(100),
        "zip": b"PK\3\4" + bytes(100),
        "web page": b"<html><img src=x onerror=alert(1)>",
        "gif of no version": b"GIF88a" + bytes(100),
        "sound in a RIFF": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        "png sent as text": PNG.replace(b"\r\n", b"\n") + bytes(100),
        "jpeg with something before it": b"\n" + jpeg(),
    }.items()
}

POLYGLOTS: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    "png and zip": (lambda: saved(drawing(), "PNG") + b"PK\3\4evil", WHOLE),
    "jpeg and php": (lambda: jpeg(comment=b"<?php evil(); ?>"), WHOLE),
    "jpeg and html": (lambda: jpeg() + b"<script>evil()</script>", WHOLE),
    "gif and javascript": (lambda: gif() + b"/*evil*/=1;", WHOLE),
    "png and svg": (lambda: png(40, 30, more=chunk(b"tEXt", b"a\0<svg>evil</svg>")), WHOLE),
}

CORPUS = BOMBS | DAMAGED | OTHERS | POLYGLOTS
