"""Whatever lies in the models folder: looking at it never raises, never blocks, and is cheap."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.provider.catalogue.scan import scan
from app.provider.engine import ENGINES, format_of
from tests.cpu_time import unit
from tests.provider.model_files import write_gguf, write_hf, write_mlx, write_onnx, write_starter

pytestmark = pytest.mark.slow


def write_any_gguf(folder: Path) -> Path:
    write_gguf(
        folder / "m.gguf",
        llama__block_count=4,
        llama__embedding_length=64,
        llama__attention__head_count=8,
        llama__attention__head_count_kv=[4, 4, 2, 0],
        tokenizer__chat_template="{{ messages }}",
    )
    return folder


def write_whole_hf(folder: Path) -> Path:
    write_hf(folder, rope_scaling={"factor": 2.0, "original_max_position_embeddings": 64})
    index = {"metadata": {}, "weight_map": {"embed.weight": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    named = [{"name": "default", "template": "{{ messages }}"}]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


WRITERS = [write_any_gguf, write_whole_hf, write_mlx, write_onnx]


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    return [nested(depth - 1)] if depth else []


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1.5, float("nan"), 2**70, "", "\0\ud800.json", [], ["\ud800"], nested(50)),
    *({"filename": "\ud800"}, {"\ud800": {"factor": float("inf")}}),
)
"""Values of every type of JSON, with what only some readers take."""


def variants(content: dict[str, Any], value: object) -> Iterator[dict[str, Any]]:
    """The object with each of its values, at any depth, replaced by another."""
    for key, old in content.items():
        yield content | {key: value}
        if isinstance(old, dict):
            yield from (content | {key: inner} for inner in variants(old, value))


def damage(content: bytes, random: random.Random) -> bytes:
    """Cut it off, flip bytes, put numbers of any kind into it, or take a piece out."""
    data = bytearray(content)
    if random.random() < 0.3:
        del data[random.randrange(len(data) + 1) :]
    for _ in range(random.choice([0, 1, 1, 2, 8])):
        if data:
            at = random.randrange(min(len(data), 4096))
            piece = random.choice([b"\xff", b"\x00", b'"', b"[", b"null", b"-1", b"1e999", b"{}"])
            piece = random.choice([piece, random.randbytes(1), struct.pack("<Q", 2**63)])
            data[at : at + random.choice([0, len(piece)])] = piece
    return bytes(data)


@pytest.mark.parametrize("write", WRITERS)
def test_no_damage_makes_a_format_raise(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    folder = write(tmp_path / "m")
    files = {path: path.read_bytes() for path in folder.iterdir()}
    chance = random.Random(4)
    problems = set()
    for _ in range(150):
        path = chance.choice(list(files))
        path.write_bytes(damage(files[path], chance))
        for engine in ENGINES:
            for subject in (folder, *files):
                card = format_of(engine).read(subject)
                problems |= {card.problem} if card else set()
        path.write_bytes(files[path])
    assert len(problems) > 1
    assert [card.problem for card in scan(tmp_path)] == [None]


@pytest.mark.parametrize("write", WRITERS)
def test_every_key_may_hold_any_value(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    folder = write(tmp_path / "m")
    for path in folder.glob("*.json"):
        content = path.read_text()
        facts = json.loads(content) | {"vision_config": {"a": 1}, "text_config": {"a": 1}}
        for value in VALUES:
            for changed in variants(facts, value):
                path.write_text(json.dumps(changed))
                cards = [asdict(card) for card in scan(tmp_path)]
                json.dumps(cards, default=str, ensure_ascii=False).encode()
                assert "did not expect" not in repr(cards), changed
        path.write_text(content)
    assert [card.problem for card in scan(tmp_path)] == [None]


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"model_type": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe{}",
        b"{}" + b" " * 2**25,
    ],
    ids=["null", "lists", "objects", "digits", "encoding", "long"],
)
@pytest.mark.parametrize("name", ["config.json", "genai_config.json"])
def test_hostile_json_is_incomplete(tmp_path: Path, name: str, content: bytes) -> None:
    folder = write_onnx(tmp_path / "m") if name.startswith("genai") else write_hf(tmp_path / "m")
    (folder / name).write_bytes(content)
    (card,) = scan(tmp_path)
    assert (
        card.problem
        == f"The folder is incomplete: {name} is damaged or cut off. Download or copy it again."
    )


@pytest.mark.parametrize("length", [2**63, 2**40, 2**25 + 1, 0])
def test_a_header_of_any_length_is_judged_at_once(tmp_path: Path, length: int) -> None:
    weights = write_hf(tmp_path / "m") / "model.safetensors"
    with weights.open("r+b") as file:
        file.write(struct.pack("<Q", length))
        file.truncate(2**34)  # sparse: takes no room on the disk
    began = time.thread_time()
    found = scan(tmp_path)[0].problem or ""
    assert "model.safetensors is cut off" in found or "model.safetensors is damaged" in found
    assert time.thread_time() - began < 40 * unit()  # reading it all takes hundreds


def test_endless_shapes_and_lists_are_judged_at_once(tmp_path: Path) -> None:
    weights = write_hf(tmp_path / "m") / "model.safetensors"
    entry = {"dtype": "F32", "shape": [9999] * 500_000, "data_offsets": [0, 0]}
    header = json.dumps({"a": entry}).encode()
    weights.write_bytes(struct.pack("<Q", len(header)) + header)
    with (tmp_path / "zeros.gguf").open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 2**16, 0))
        file.truncate(2**34)
    with (tmp_path / "list.gguf").open("wb") as file:
        file.write(
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 8, 2**62)
        )
        file.truncate(2**34)
    began = time.thread_time()
    assert [card.id for card in scan(tmp_path)] == ["list", "m", "zeros"]
    assert time.thread_time() - began < 200 * unit()


def test_pipes_devices_and_broken_links_are_passed_by(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")
    assert [card.id for card in scan(tmp_path, [tmp_path / "pipe.gguf"])] == ["m"]
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert all(card.problem for card in scan(tmp_path))


def test_a_device_in_a_folder_is_not_read(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    os.mkfifo(folder / "README.md")
    (folder / "chat_template.jinja").symlink_to("/dev/zero")
    (card,) = scan(tmp_path)
    assert (card.licence, card.chat_template, card.problem) == ("", "", None)


def test_links_that_lead_upwards_or_in_circles_end(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_gguf(models / "a" / "m.gguf")
    (models / "a" / "up").symlink_to("..")
    (models / "root").symlink_to("/")
    (models / "a" / "here").symlink_to(".")
    outside = tmp_path / "outside"
    write_gguf(outside / "far.gguf")
    (outside / "again").symlink_to(outside)
    (outside / "back").symlink_to(models)
    (models / "out").symlink_to(outside)
    assert [card.id for card in scan(models)] == ["far", "m"]


def test_folders_below_folders_without_end_are_left(tmp_path: Path) -> None:
    write_gguf(tmp_path / "near" / "m.gguf")
    deep = tmp_path
    for _ in range(300):
        deep /= "d"
        deep.mkdir()
    assert [card.id for card in scan(tmp_path)] == ["m"]
    shutil.rmtree(tmp_path / "d")


def test_a_name_that_is_not_unicode_is_explained(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    source.rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.gguf"))
    (card,) = scan(tmp_path)
    assert (card.id, card.problem) == ("caf\ufffd", "Its name is not valid UTF-8: rename it.")


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    write_gguf(tmp_path / "closed" / "hidden.gguf")
    (tmp_path / "closed").chmod(0)
    ids = [card.id for card in scan(tmp_path)]
    (tmp_path / "closed").chmod(0o755)
    assert ids in (["m"], ["hidden", "m"])  # the administrator reads everything
    assert scan(tmp_path / "gone") == []
    assert scan(tmp_path / "m.gguf") == []


def test_untouched_files_are_not_opened(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    (tmp_path / "link.gguf").symlink_to("m.gguf")
    assert scan(tmp_path, [path], untouched={path.resolve()}) == []


def test_a_second_look_reads_no_file(tmp_path: Path) -> None:
    write_starter(tmp_path / "starter")
    write_gguf(tmp_path / "m.gguf")
    first = scan(tmp_path)
    assert [a is b for a, b in zip(first, scan(tmp_path), strict=True)] == [True, True]


def test_a_replaced_file_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", general__author="one")
    before, state = scan(tmp_path)[0].stamp, path.stat()
    write_gguf(path, general__author="two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert scan(tmp_path)[0].stamp != before
