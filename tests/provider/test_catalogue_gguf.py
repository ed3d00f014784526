"""GGUF files of strangers: any key of any type, other kinds of models, and what is no model."""

from __future__ import annotations

import json
import logging
import os
import struct
from dataclasses import asdict
from pathlib import Path

import gguf
import pytest

from app.provider.catalogue.scan import scan
from app.provider.errors import ModelNotLoadable
from app.provider.gguf import facts
from app.provider.gguf.header import Header
from app.provider.gguf.kinds import is_known, why_no_chat
from app.provider.gguf.model import LlamaModel
from app.provider.pool import ModelPool, PoolConfig
from app.v5.services.models import listed as listed_by_v5
from tests.provider.gguf_bytes import (
    LIST,
    SAMPLES,
    STRING,
    TOKENIZER,
    Pair,
    header,
    listed,
    pair,
    text,
    words,
    write,
)
from tests.provider.model_files import write_gguf

KEYS = [
    "general.architecture",
    "general.type",
    "general.alignment",
    "general.file_type",
    "general.name",
    "general.version",
    "general.license",
    "tokenizer.chat_template",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
    "llama.context_length",
    "llama.block_count",
    "llama.embedding_length",
    "llama.pooling_type",
    "llama.vocab_size",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "clip.has_vision_encoder",
    "clip.projector_type",
    "clip.vision.projection_dim",
    "clip.vision.patch_size",
]
"""Every key that the catalogue looks at."""

LISTS = {kind: listed(kind, [value] * 3) for kind, value in SAMPLES.items()}
VALUES: list[tuple[int, bytes]] = [
    *SAMPLES.items(),
    (STRING, text(b"")),
    (STRING, text(b"\xff\xed\xa0\x80\xfe")),
    (STRING, text(b"x" * 100_000)),
    *((LIST, value) for value in LISTS.values()),
    (LIST, listed(STRING, [text(b"\xff")])),
    (LIST, listed(4, [])),
    (LIST, listed(4, [SAMPLES[4]] * 2000)),
    (LIST, listed(LIST, [listed(4, [SAMPLES[4]])])),
    (13, b""),
]
"""A value of every type of the format, and of two that it does not have."""


def problem(folder: Path) -> str:
    (card,) = scan(folder)
    return card.problem or ""


def described(folder: Path) -> str:
    """The cards as an answer would hold them, which must be Unicode."""
    cards = [asdict(card) for card in scan(folder)]
    return json.dumps(cards, default=str, ensure_ascii=False).encode().decode()


@pytest.mark.parametrize(("name", "architecture"), [("m", "llama"), ("mmproj-m", "clip")])
def test_every_key_may_have_every_type(tmp_path: Path, name: str, architecture: str) -> None:
    usual = [words("general.architecture", architecture), *TOKENIZER]
    write_gguf(tmp_path / "neighbour.gguf", llama__embedding_length=64)
    for key in (key for key in KEYS if key.startswith((architecture, "general", "tokenizer"))):
        others = [one for one in usual if one[0] != key.encode()]
        for kind, value in VALUES:
            write(tmp_path / f"{name}.gguf", [*others, pair(key, kind, value)])
            assert '"neighbour"' in described(tmp_path), (key, kind)


def test_keys_may_be_any_bytes(tmp_path: Path) -> None:
    usual: list[Pair] = [words("general.architecture", "llama"), *TOKENIZER]
    for key in (b"", b"\xff\xfe", b"\xed\xa0\x80", b"k" * 70_000, b".", b"llama.", b"\0"):
        write(tmp_path / "m.gguf", [*usual, (key, 4, SAMPLES[4]), (b"last", STRING, text(b"x"))])
        assert [card.problem for card in scan(tmp_path)] == [None]
        described(tmp_path)
    write(tmp_path / "m.gguf", [*usual, words("a", "1"), words("a", "2")])
    assert "a key stands twice in its header" in problem(tmp_path)


async def test_a_file_of_wrong_types_leaves_the_list_of_models_whole(tmp_path: Path) -> None:
    types = pair("general.type", LIST, LISTS[4])
    name = pair("general.name", STRING, text(b"\xed\xa0\x80"))
    write(tmp_path / "odd.gguf", [words("general.architecture", "llama"), types, name, *TOKENIZER])
    write_gguf(tmp_path / "sound.gguf")
    pool = ModelPool(PoolConfig(tmp_path))
    answer = (await listed_by_v5(pool)).model_dump_json()
    assert [model["id"] for model in json.loads(answer)["models"]] == ["odd", "sound"]


def test_what_cannot_be_described_costs_its_card_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "m.gguf", [words("general.name", "Odd"), *TOKENIZER])
    write_gguf(tmp_path / "neighbour.gguf")
    real = why_no_chat

    def fails(found: Header) -> str | None:
        if found.metadata["general.name"] == "Odd":
            raise AttributeError("a fault of ours in " + str(tmp_path))
        return real(found)

    monkeypatch.setattr(facts, "why_no_chat", fails)
    with caplog.at_level(logging.WARNING):
        cards = [card for _ in range(3) for card in scan(tmp_path)]
    problems = {card.id: card.problem or "" for card in cards}
    assert problems["neighbour"] == ""
    assert problems["m"].startswith("It cannot be described")
    assert "AttributeError" in problems["m"]
    assert str(tmp_path) not in problems["m"]
    assert len([one for one in caplog.records if "m.gguf" in one.getMessage()]) == 1


# ------------------------------------------------------------------ other kinds of models


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        ("flux", "makes pictures or videos"),
        ("sd3", "makes pictures or videos"),
        ("wan", "makes pictures or videos"),
        ("qwen_image", "makes pictures or videos"),
        ("wavtokenizer-dec", "vocoder"),
        ("snac", "vocoder"),
        ("whisper", "speech"),
        ("kokoro", "speech"),
        ("siglip", "describes pictures by numbers"),
        ("t5", "encoder"),
        ("t5encoder", "encoder"),
        ("llada", "by diffusion"),
        ("bert", "embeddings"),
        ("gemma-embedding", "embeddings"),
        ("not-known-to-anybody", "does not know the architecture not-known-to-anybody"),
    ],
)
def test_a_model_of_another_kind_is_no_chat_model(
    tmp_path: Path, architecture: str, why: str
) -> None:
    write(tmp_path / "m.gguf", [words("general.architecture", architecture), *TOKENIZER])
    (card,) = scan(tmp_path)
    assert why in (card.problem or "")
    assert "chat" not in card.tasks


@pytest.mark.parametrize(
    "tokenizer",
    [
        [],
        TOKENIZER[:1],
        TOKENIZER[1:],
        [words("tokenizer.ggml.model", "none"), TOKENIZER[1]],
        [words("tokenizer.ggml.model", "no_vocab")],
        [TOKENIZER[0], pair("tokenizer.ggml.tokens", LIST, listed(STRING, []))],
        [TOKENIZER[0], words("tokenizer.ggml.tokens", "all of them")],
    ],
)
def test_a_model_without_a_tokenizer_cannot_chat(tmp_path: Path, tokenizer: list[Pair]) -> None:
    write(tmp_path / "m.gguf", [words("general.architecture", "llama"), *tokenizer])
    (card,) = scan(tmp_path)
    assert (card.tasks, card.problem) == (
        (),
        "It has no tokenizer, so it cannot chat: it is no language model, or a part of one.",
    )


@pytest.mark.parametrize(
    "pairs",
    [
        [words("general.type", "adapter")],
        [words("general.type", "imatrix")],
        [words("general.type", "mmproj")],
        [words("general.architecture", "controlvector")],
        [words("general.architecture", "clip")],
    ],
)
def test_what_only_goes_with_a_model_is_not_listed(tmp_path: Path, pairs: list[Pair]) -> None:
    write(tmp_path / "m.gguf", [*pairs, *TOKENIZER])
    assert scan(tmp_path) == []


def test_every_architecture_of_llama_cpp_is_known() -> None:
    assert [name for name in gguf.MODEL_ARCH_NAMES.values() if not is_known(name)] == []
    assert not is_known("")


def test_the_list_says_of_other_kinds_what_llama_cpp_says(tmp_path: Path) -> None:
    kinds = [words("general.architecture", name) for name in ("flux", "unheard-of", "whisper")]
    files = [[kind, *TOKENIZER] for kind in kinds]
    files.append([words("general.architecture", "llama"), TOKENIZER[0]])
    files.append([words("general.architecture", "llama"), *TOKENIZER, *TOKENIZER])
    for number, pairs in enumerate(files):
        path = write(tmp_path / f"{number}.gguf", pairs)
        with pytest.raises(ModelNotLoadable):
            LlamaModel(str(path), 0, lambda _: None)
    assert all(card.problem for card in scan(tmp_path))
    assert len(scan(tmp_path)) == len(files)


# ------------------------------------------------------------------ what is no GGUF file

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
        (os.urandom(1) * 3 + b"\xff\xfe\xfd" * 500, "is no GGUF file"),
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


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    path.chmod(0)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        assert problem(tmp_path) == "It cannot be read: Permission denied."
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
    for length, told in ((65_536, False), (65_537, True), (2**21, True)):
        write(tmp_path / "m.gguf", [*usual, words("tokenizer.chat_template", "x" * length)])
        assert ("chat template has more than 65,536" in problem(tmp_path)) == told


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
