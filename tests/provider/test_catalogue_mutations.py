"""Ten thousand changes to GGUF headers and to model folders: nothing leaves the catalogue."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard
from app.provider.catalogue.scan import READ_SECONDS, scan
from app.provider.engine import format_of
from app.provider.headers.budget import FILE_SECONDS, TooExpensive, read_budget
from tests.cpu_time import reference_time
from tests.provider.model_files import write_gguf
from tests.selection import matrix

pytestmark = [pytest.mark.usefixtures("reference_clock"), pytest.mark.slow]

MODELS = Path(__file__).parents[2] / "models"
_HEADER = 8192
"""Bytes of a real file that are changed most, with what follows cut to this length."""


def numbers(chance: random.Random) -> bytes:
    """A length, count, type or offset that means trouble."""
    value = chance.choice([0, 1, 8, 9, 13, 2**16, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])
    return struct.pack("<Q", value)[: chance.choice([1, 4, 8])]


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Flip, cut, insert, repeat or exchange some bytes, most of them near the beginning."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(min(len(data), chance.choice([64, 1024, _HEADER])) or 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.choice([1, 4, 8, 100, len(data)])]
            case 2:
                data[at:at] = numbers(chance)
            case 3:
                piece = numbers(chance)
                data[at : at + len(piece)] = piece
            case 4:
                data[at:at] = data[at : at + chance.randrange(200)]
            case _:
                data[at : at + 2] = chance.choice([b"\xff\xfe", b"\xed\xa0\x80", b"\0\0", b'"\\u'])
    return bytes(data)


def fits_an_answer(card: ModelCard | None) -> None:
    """Whether it can be told in JSON."""
    if card:
        shown = asdict(card) | {"path": None, "found_in": None}
        json.dumps(shown, ensure_ascii=False).encode()


@pytest.mark.parametrize("rounds", [1000, *matrix(10_000)])
def test_no_mutation_of_a_gguf_header_leaves_the_catalogue(tmp_path: Path, rounds: int) -> None:
    write_gguf(tmp_path / "made.gguf", tokenizer__chat_template="{{ messages }}")
    sources = [tmp_path / "made.gguf", *MODELS.glob("*.gguf")]
    originals = [path.read_bytes()[: 4 * _HEADER] for path in sources]
    chance, read, longest = random.Random(12), format_of("gguf").read, 0.0
    problems = set()
    for turn in range(rounds):
        path = tmp_path / chance.choice(["m.gguf", "mmproj-made.gguf", "m-00001-of-00002.gguf"])
        path.write_bytes(mutate(originals[turn % len(originals)], chance))
        os.truncate(path, chance.choice([*[path.stat().st_size, 2**22] * 100, 2**30]))
        started = reference_time()
        with read_budget(FILE_SECONDS):
            for subject in (path, sources[0])[: 1 + path.name.startswith("mmproj")]:
                try:
                    card = read(subject)
                except TooExpensive:
                    card = None
                fits_an_answer(card)
                problems.add(card.problem if card else None)
        longest = max(longest, reference_time() - started)
        path.unlink()
    assert longest < 2 * FILE_SECONDS
    assert len(problems) > 10


VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1.5, float("nan"), float("inf"), 2**70, 10**3000, "", "x", "\0"),
    *("\ud800", "../../etc/passwd", "x" * 70_000, [], [[]], {}, {"": {}}, {"\ud800": ["\ud800"]}),
]


def edit(value: Any, chance: random.Random) -> Any:
    """The same with one value, at any depth, replaced, removed or repeated."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: edit(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], edit(value[at], chance), *value[at:]]
    return chance.choice(VALUES)


def edit_json(path: Path, chance: random.Random) -> None:
    try:
        content = json.loads(path.read_bytes()[:10_000])
    except ValueError:
        cut(path, chance)
    else:
        path.write_text(json.dumps(edit(content, chance)))


def damage(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    path.write_bytes(mutate(path.read_bytes()[: 4 * _HEADER], chance))
    if chance.random() < 0.7:
        os.truncate(path, size)


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.choice([0, 1, 8, 64, path.stat().st_size // 2]))


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def exchange(path: Path, chance: random.Random) -> None:
    path.unlink()
    match chance.randrange(6):
        case 0:
            path.symlink_to(chance.choice(["nowhere", path.name, "/dev/zero", "..", "/etc/passwd"]))
        case 1:
            path.mkdir()
        case 2:
            os.mkfifo(path)
        case 3:
            path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        case 4:
            path.write_bytes(b"<!doctype html><html></html>")
        case _:
            other = chance.choice(sorted(path.parent.iterdir()))
            path.symlink_to(other.name)


def add(path: Path, chance: random.Random) -> None:
    names = ["genai_config.json", "config.json", "model-00001-of-99999.safetensors", "modules.json"]
    names += ["model.safetensors.index.json", "chat_template.jinja", "m.gguf", "\udce9.gguf"]
    target = path.with_name(chance.choice(names))
    if not target.exists():
        target.write_bytes(mutate(path.read_bytes()[:_HEADER], chance))


CHANGES: list[Callable[[Path, random.Random], None]] = [
    *(edit_json, edit_json, edit_json, damage, damage, cut, remove, exchange, add)
]


class Folder:
    """A copy of a model that is mended again and again. Weights become holes of their size."""

    def __init__(self, source: Path, path: Path) -> None:
        self.path = path
        self._files = {file.name: self._content(file) for file in source.iterdir()}
        self._states: dict[str, tuple[int, int]] = {}
        path.mkdir(parents=True)
        self.mend()

    def change(self, chance: random.Random) -> None:
        for _ in range(chance.choice([1, 1, 2, 2, 4])):
            present = [path for path in sorted(self.path.iterdir()) if path.is_file()]
            if present:
                chance.choice(CHANGES)(chance.choice(present), chance)

    def mend(self) -> None:
        """Make it again as it was, touching only what has changed."""
        for name in os.listdir(self.path):
            if self._states.get(name) != self._state(name):
                self._remove(self.path / name)
        for name, (content, size) in self._files.items():
            if not (self.path / name).exists():
                (self.path / name).write_bytes(content)
                os.truncate(self.path / name, size)
                self._states[name] = self._state(name)

    @staticmethod
    def _content(file: Path) -> tuple[bytes, int]:
        is_weights = file.suffix in {".safetensors", ".data"}
        return file.read_bytes()[: 2 * _HEADER if is_weights else None], file.stat().st_size

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()

    def _state(self, name: str) -> tuple[int, int]:
        state = (self.path / name).lstat()
        return state.st_mtime_ns, state.st_size


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("starter-hf", 200),
        ("starter-vision-hf", 120),
        ("starter-onnx", 30),
        *matrix(
            ("starter-hf", 2000),
            ("starter-mlx", 1500),
            ("starter-vision-hf", 1200),
            ("starter-onnx", 300),
        ),
    ],
)
def test_no_mutation_of_a_folder_leaves_the_catalogue(
    tmp_path: Path, name: str, rounds: int
) -> None:
    folder = Folder(MODELS / name, tmp_path / "m")
    chance, longest, problems = random.Random(name), 0.0, set()
    for _ in range(rounds):
        folder.change(chance)
        started = reference_time()
        cards = scan(tmp_path)
        longest = max(longest, reference_time() - started)
        for card in cards:
            fits_an_answer(card)
            problems.add(card.problem)
        folder.mend()
    assert longest < 2 * READ_SECONDS
    assert len(problems) > 10
    assert not any("did not expect" in str(problem) for problem in problems)
    assert [card.problem for card in scan(tmp_path)] == [None]
