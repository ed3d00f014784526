"""Recognises by its first bytes a file that should be a model and is something else.

Each result continues the sentence "<the file> …" and ends with what to do.
"""

from __future__ import annotations

BEGINNING = 512
"""Bytes of a file that ``identify`` needs."""

_LFS = b"version https://git-lfs.github.com/"
_POINTER = "is only a pointer of Git LFS, not the file: run `git lfs pull` there"
_PAGE = "is a web page, not the file: the download brought something else; download it again"
_MESSAGE = "is a short text, not the file: the download brought an error message; download it again"
_ZEROS = "holds only zeros: its download or copy has not finished; download it again"
_EMPTY = "is empty: download it again"
_OLD = "is in an old format of llama.cpp (before GGUF): download it as GGUF"

_STARTS = (
    (_LFS, _POINTER),
    (b"PK\x03\x04", "is a ZIP archive: unpack it"),
    (b"\x1f\x8b", "is a gzip archive: unpack it"),
    (b"BZh", "is a bzip2 archive: unpack it"),
    (b"\xfd7zXZ\x00", "is an xz archive: unpack it"),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (b"Rar!", "is a RAR archive: unpack it"),
    *((magic, _OLD) for magic in (b"lmgg", b"fmgg", b"tjgg", b"algg")),
)
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")
_BOM = b"\xef\xbb\xbf"


def identify(start: bytes, size: int, *, json: bool = False) -> str:
    """What a file with this beginning and size is; empty if it is not recognised.

    ``json``: the file should be JSON, so that text is expected.
    """
    if size == 0:
        return _EMPTY
    for magic, answer in _STARTS:
        if start.startswith(magic):
            return answer
    if start.removeprefix(_BOM).lstrip().lower().startswith(_PAGE_STARTS):
        return _PAGE
    if not start.strip(b"\0"):
        return _ZEROS
    return "" if json or not _is_message(start, size) else _MESSAGE


def _is_message(start: bytes, size: int) -> bool:
    """Whether the file holds only a few lines of text."""
    if size > BEGINNING:
        return False
    try:
        return start.decode().isprintable() or all(
            letter.isprintable() or letter in "\t\r\n" for letter in start.decode()
        )
    except UnicodeDecodeError:
        return False
