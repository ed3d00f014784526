"""GGUF files that are broken, in pieces, of other versions, or none at all; and their names."""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

import pytest

from app.provider.catalogue.scan import scan
from app.provider.pool.pool import ModelPool, PoolConfig
from tests.provider.gguf_bytes import SAMPLES, TOKENIZER, header, pair, words, write
from tests.provider.model_files import write_gguf


def problem(folder: Path) -> str:
    (card,) = scan(folder)
    return card.problem or ""


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 98362432\n" % (
    b"0" * 64
)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (POINTER, "run `git lfs pull`"),
        (b"<!DOCTYPE html><html>" + b"x" * 5000, "is a web page"),
        (b"\n\n <HTML><body>404</body></html>", "is a web page"),
        (b"Invalid username or password.", "error message"),
        (b'{"error":"Repository not found"}', "error message"),
        (bytes(5000), "holds only zeros"),
        (b"PK\x03\x04" + bytes(500), "is a ZIP archive: unpack it"),
        (b"\x1f\x8b\x08" + bytes(500), "is a gzip archive: unpack it"),
        (b"tjgg" + bytes(500), "an old format of llama.cpp"),
        (b"\xb2\xb2\xb2" + b"\xff\xfe\xfd" * 500, "is no GGUF file"),
        (b"GGUF", "its end is missing"),
        (b"GGUF\x03\x00", "its end is missing"),
        (header([])[:40], "its end is missing"),
    ],
)
@pytest.mark.parametrize("name", ["m.gguf", "M.GGUF"])
def test_a_file_that_is_only_called_gguf_says_what_it_is(
    tmp_path: Path, content: bytes, why: str, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (card,) = scan(tmp_path)
    assert why in (card.problem or "")
    assert (card.id, card.size_bytes, card.format) == (name[0], len(content), "gguf")
    (tmp_path / name).rename(tmp_path / "mmproj-m.gguf")
    assert not content.startswith(b"GGUF") or scan(tmp_path)
    assert content.startswith(b"GGUF") or scan(tmp_path) == []


def test_a_link_to_a_model_that_is_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to("gone.gguf")
    assert "link to a file that is not there" in problem(tmp_path)
    write_gguf(tmp_path / "gone.gguf")
    assert [(card.id, card.problem) for card in scan(tmp_path)] == [("gone", None)]


def test_a_file_that_may_not_be_read_says_so() -> None:
    with tempfile.TemporaryDirectory() as name:  # others may not enter pytest's folders
        folder = Path(name)
        folder.chmod(0o755)
        write_gguf(folder / "m.gguf").chmod(0)
        before = os.geteuid()
        try:
            if before == 0:
                os.seteuid(65534)
            assert problem(folder) == "It cannot be read: Permission denied."
        finally:
            os.seteuid(before)


def test_old_and_foreign_versions_are_named(tmp_path: Path) -> None:
    pairs = [words("general.architecture", "llama"), *TOKENIZER]
    for version, order, why in (
        (1, "<", "GGUF version 1"),
        (3, ">", "big-endian"),
        (2, ">", "big-endian"),
        (4, "<", "GGUF version 4"),
        (0, "<", "GGUF version 0"),
    ):
        write(tmp_path / "m.gguf", pairs, version=version, order=order)
        assert why in problem(tmp_path)
    write(tmp_path / "m.gguf", pairs, version=2)
    assert problem(tmp_path) == ""


@pytest.mark.parametrize(
    "name",
    [
        "m.gguf.part00",
        "m.gguf.part1of2",
        "m.gguf-split-a",
        "m.gguf.aa",
        "m.gguf.001",
        "m.gguf.part-01-of-04",
        "m.gguf_1",
    ],
)
def test_a_piece_of_a_file_is_to_be_joined(tmp_path: Path, name: str) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "whole.gguf").unlink()
    (tmp_path / name).write_bytes(whole[:-1000])
    assert "join all pieces in their order to the one file m.gguf" in problem(tmp_path)


def test_parts_without_the_first_are_one_incomplete_model(tmp_path: Path) -> None:
    for number in (2, 3):
        write_gguf(tmp_path / f"m-0000{number}-of-00003.gguf")
    assert "m-00001-of-00003.gguf is missing" in problem(tmp_path)
    write_gguf(tmp_path / "m-00001-of-00003.gguf")
    assert problem(tmp_path) == ""


def test_a_header_that_is_damaged_is_not_called_incomplete(tmp_path: Path) -> None:
    start = b"GGUF" + struct.pack("<I", 3)
    for content in (
        start + struct.pack("<QQ", 2**40, 1),
        start + struct.pack("<QQQ", 1, 1, 2**60),
        header([pair("a", 13, b"")]),
        header([pair("general.alignment", 4, SAMPLES[4])]),
    ):
        (tmp_path / "m.gguf").write_bytes(content + bytes(200))
        assert "The file is damaged: " in problem(tmp_path)


def test_a_template_that_is_too_long_is_told(tmp_path: Path) -> None:
    usual = [words("general.architecture", "llama"), *TOKENIZER]
    for length, too_long in ((65_536, False), (65_537, True), (2**21, True)):
        write(tmp_path / "m.gguf", [*usual, words("tokenizer.chat_template", "x" * length)])
        assert ("chat template has more than 65,536" in problem(tmp_path)) == too_long


# ------------------------------------------------------------------ names


def test_the_case_of_the_suffix_is_no_part_of_the_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "X.GGUF")
    pool = ModelPool(PoolConfig(tmp_path))
    assert [pool.card(name).id for name in ("X", "X.GGUF")] == ["X", "X"]
    named = ModelPool(PoolConfig(tmp_path / "none", default_model=tmp_path / "X.GGUF"))
    assert (named.card(None).id, named.card("X.GGUF").id) == ("X", "X")


def test_two_files_that_differ_in_the_case_of_the_suffix_keep_their_names(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a" / "X.gguf")
    write_gguf(tmp_path / "b" / "X.GGUF")
    pool = ModelPool(PoolConfig(tmp_path))
    assert [pool.card(name).path.parent.name for name in ("X", "X.GGUF")] == ["a", "b"]
