"""GGUF files of strangers: any key of any type, other kinds of models, and what is no model."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import gguf
import pytest

from app.provider.catalogue.scan import scan
from app.provider.engines.gguf import model_card
from app.provider.engines.gguf.model import LlamaModel
from app.provider.engines.gguf.model_kinds import is_known, why_no_chat
from app.provider.errors import ModelNotLoadable
from app.provider.headers.gguf import Header
from app.provider.pool.pool import ModelPool, PoolConfig
from app.v5.services.models import list_models as listed_by_v5
from tests.provider.gguf_bytes import (
    LIST,
    SAMPLES,
    STRING,
    TOKENIZER,
    Pair,
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
    "general.basename",
    "general.version",
    "general.license",
    "tokenizer.chat_template",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
    "llama.context_length",
    "llama.block_count",
    "llama.embedding_length",
    "llama.pooling_type",
    "llama.classifier.output_labels",
    "llama.attention.causal",
    "llama.embedding_length_out",
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

    monkeypatch.setattr(model_card, "why_no_chat", fails)
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
        ("bert", "does not say how the vectors of its tokens become one"),
        ("gemma-embedding", "dense_2"),
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
