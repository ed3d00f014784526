"""Files that are legal and far too large, and folders that hold everything: looking stays cheap."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.provider.catalogue import walk as walks
from app.provider.catalogue.huggingface import describe
from app.provider.catalogue.scan import READ_SECONDS, notices, pending, scan
from app.provider.headers.budget import FILE_SECONDS, TooExpensive, read_budget
from app.provider.headers.files import MOST_ENTRIES
from app.provider.headers.gguf import read_header
from app.provider.headers.json_reader import read_object
from app.provider.pool.pool import ModelPool, PoolConfig
from tests.cpu_time import reference_time, unit
from tests.provider.gguf_bytes import LIST, STRING, TOKENIZER, header, listed, pair, text, words
from tests.provider.model_files import write_gguf, write_hf, write_safetensors
from tests.selection import matrix

pytestmark = [pytest.mark.usefixtures("reference_clock"), pytest.mark.slow]

MANY = b'{"a":[%s[]]}'
_NUMBERS = struct.pack("<IQ", 4, 256) + bytes(1024)


def lists_of_numbers() -> bytes:
    """A GGUF header of 60,000 lists of numbers."""
    return header([pair(f"a.{n}.attention.head_count", LIST, _NUMBERS) for n in range(60_000)])


def texts_without_end() -> bytes:
    """A GGUF header with a list of six million texts."""
    return header([pair("a", LIST, listed(STRING, [text(b"")] * 6_000_000))])


def keys_without_end() -> bytes:
    return header([pair("k" * 200 + str(n), STRING, text(b"v" * 250)) for n in range(65_000)])


def brackets() -> bytes:
    return MANY % (b"[]," * 5_000_000)


def objects() -> bytes:
    return MANY % (b'{"":{"":{}}},' * 1_200_000)


def names() -> bytes:
    return b"{" + b",".join(b'"%d":1' % n for n in range(1_200_000)) + b"}"


GGUF = [lists_of_numbers, texts_without_end, keys_without_end]
HEAVY = [lists_of_numbers, keys_without_end, brackets, objects, names]

LONGEST_PAUSE = 100
"""Units of processor time, some seconds of the reference machine."""


@pytest.fixture
def longest_pause() -> Iterator[Callable[[], float]]:
    """How long another thread, as the server's loop is one, was kept from running.

    Counted in units of the process's own computing, so that a busy or slow machine does not count.
    """
    pauses, done = [0.0], threading.Event()

    def watch() -> None:
        last = time.process_time()
        while not done.wait(0.005):
            pauses.append(time.process_time() - last)
            last = time.process_time()

    thread = threading.Thread(target=watch)
    thread.start()
    yield lambda: max(pauses) / unit()
    done.set()
    thread.join()


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("model.safetensors", names),
        ("tokenizer_config.json", objects),
        ("config.json", brackets),
    ],
)
def test_a_folder_of_huge_headers_has_a_reason(
    tmp_path: Path, place: str, content: Callable[[], bytes], longest_pause: Callable[[], float]
) -> None:
    folder, data = write_hf(tmp_path / "m"), content()
    if place == "model.safetensors":
        data = struct.pack("<Q", len(data)) + data
    (folder / place).write_bytes(data)
    write_gguf(tmp_path / "neighbour.gguf")
    started = reference_time()
    scan(tmp_path)
    assert reference_time() - started < 2 * READ_SECONDS
    while pending(tmp_path):
        scan(tmp_path)
    problems = {card.id: card.problem or "" for card in scan(tmp_path)}
    assert problems["neighbour"] == ""
    assert problems["m"].startswith(("It cannot be described: ", "The folder is incomplete: "))
    assert longest_pause() < LONGEST_PAUSE


@pytest.mark.parametrize("content", [GGUF[0], *matrix(*GGUF[1:])])
def test_a_gguf_of_a_huge_header_ends_in_time(
    tmp_path: Path, content: Callable[[], bytes], longest_pause: Callable[[], float]
) -> None:
    (tmp_path / "m.gguf").write_bytes(content())
    started = reference_time()
    (card,) = scan(tmp_path)
    assert reference_time() - started < 2 * FILE_SECONDS
    assert card.problem
    assert longest_pause() < LONGEST_PAUSE


@pytest.mark.matrix
def test_memory_stays_bounded(tmp_path: Path) -> None:
    for make in HEAVY:
        (tmp_path / f"{make.__name__}.bin").write_bytes(make())
    program = f"""
import resource, sys
from pathlib import Path
from app.provider.headers.gguf import read_header
from app.provider.headers.files import read_json
from app.provider.headers.budget import TooExpensive, read_budget
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path({str(tmp_path)!r}).glob("*.bin")):
    gguf = path.read_bytes()[:4] == b"GGUF"
    try:
        with read_budget(600):
            read_header(path) if gguf else read_json(path)
    except (TooExpensive, ValueError):
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""
    program = program.replace("path.read_bytes()[:4]", 'path.open("rb").read(4)')
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) < 100 * 1024  # kilobytes


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """Three models that take too long to describe, and after them one that does not."""
    (tmp_path / "0.gguf").write_bytes(texts_without_end())
    for number in (1, 2):
        os.link(tmp_path / "0.gguf", tmp_path / f"{number}.gguf")
    write_gguf(tmp_path / "z.gguf")
    return tmp_path


@pytest.mark.matrix
def test_many_huge_files_are_described_one_scan_after_another(huge: Path) -> None:
    scans = 0
    while scans == 0 or pending(huge):
        scans, started = scans + 1, reference_time()
        cards = scan(huge)
        assert reference_time() - started < 2 * READ_SECONDS
        assert [card.id for card in cards] == ["0", "1", "2", "z"]
    assert scans <= 4
    assert [card.id for card in cards if not card.problem] == ["z"]


@pytest.mark.matrix
async def test_who_asks_for_a_model_waits_until_it_is_described(huge: Path) -> None:
    assert (await ModelPool(PoolConfig(huge)).find("z")).problem is None


# ------------------------------------------------------------------ real sizes stay readable


def test_a_vocabulary_of_262144_tokens_is_read(tmp_path: Path) -> None:
    tokens = [text(b"<unused%d>" % n) for n in range(262_144)]
    merges = [text(b"aa bb")] * 514_906
    scores = struct.pack("<IQ", 6, 262_144) + bytes(4 * 262_144)
    pairs = [
        words("general.architecture", "gemma3"),
        TOKENIZER[0],
        pair("tokenizer.ggml.tokens", LIST, listed(STRING, tokens)),
        pair("tokenizer.ggml.scores", LIST, scores),
        pair("tokenizer.ggml.merges", LIST, listed(STRING, merges)),
        words("tokenizer.chat_template", "{{ messages }}"),
    ]
    (tmp_path / "m.gguf").write_bytes(header(pairs))
    with read_budget(READ_SECONDS):
        found = read_header(tmp_path / "m.gguf")
    assert found
    assert (found.fault, found.lengths["tokenizer.ggml.tokens"]) == ("", 262_144)
    assert found.metadata["tokenizer.chat_template"] == "{{ messages }}"


def test_the_index_of_the_largest_models_is_read() -> None:
    tensors = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}.{kind}": f"model-{layer:05d}-of-00163.st"
        for layer in range(61)
        for expert in range(256)
        for part in ("gate_proj", "up_proj", "down_proj")
        for kind in ("weight", "weight_scale_inv")
    }
    content = json.dumps({"metadata": {"total_size": 1}, "weight_map": tensors}, indent=2).encode()
    with read_budget(READ_SECONDS):
        assert read_object(content)["weight_map"] == tensors


def test_a_model_of_hundreds_of_files_is_read(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    for number in range(1, 101):
        tensors = {f"model.layers.{number}.{n}.weight": ("F16", (1, 1)) for n in range(300)}
        write_safetensors(folder / f"model-{number:05d}-of-00100.safetensors", tensors)
    with read_budget(READ_SECONDS):
        card = describe(folder)
    assert card
    assert (card.problem, card.parameters) == (None, 30_000)


# ------------------------------------------------------------------ folders that hold everything


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Fewer entries than 20,000, which take ten seconds to make."""
    assert MOST_ENTRIES == 20_000
    monkeypatch.setattr(walks, "MOST_ENTRIES", 200)
    return 200


def test_a_link_to_everything_hides_no_model(
    tmp_path: Path, few: int, caplog: pytest.LogCaptureFixture
) -> None:
    models = tmp_path / "models"
    write_gguf(models / "b.gguf")
    write_gguf(models / "z" / "z.gguf")
    (models / "z-link").symlink_to(write_gguf(tmp_path / "far" / "far.gguf").parent)
    for kind in ("everything", "everything-too"):
        for number in range(few):
            (tmp_path / kind / str(number)).mkdir(parents=True)
    (models / "everything").symlink_to(tmp_path / "everything")
    (tmp_path / "everything-too").rename(models / "a")
    with caplog.at_level(logging.WARNING):
        assert {tuple(card.id for card in scan(models)) for _ in range(3)} == {("b", "far", "z")}
    found = notices(models)
    assert [notice.split(" holds")[0] for notice in found] == [
        "The folder a",
        "The folder everything",
    ]
    assert [one.getMessage() for one in caplog.records] == found
    assert len(walks.walk(models).paths) <= few
    (models / "everything").unlink()
    shutil.rmtree(models / "a")
    scan(models)
    assert notices(models) == []


def test_a_folder_of_models_that_is_too_full_says_so(tmp_path: Path, few: int) -> None:
    for number in range(few + 10):
        (tmp_path / str(number)).touch()
    scan(tmp_path)
    assert "The folder of models holds so many files" in notices(tmp_path)[0]
    named = write_gguf(tmp_path / "named.gguf")
    assert [card.id for card in scan(tmp_path / "none", [named])] == ["named"]


def test_a_link_to_a_whole_system_costs_little(tmp_path: Path) -> None:
    (tmp_path / "usr").symlink_to("/usr")
    write_gguf(tmp_path / "m.gguf")
    for _ in range(2):
        started = reference_time()
        assert "m" in [card.id for card in scan(tmp_path)]
        assert reference_time() - started < 2 * READ_SECONDS


def test_the_command_prints_what_was_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for number in range(20_001):
        (tmp_path / "models" / f"{number}.part").symlink_to("nowhere")
    environment = {**os.environ, "MODELS_DIR": str(tmp_path / "models")}
    command = [sys.executable, "-m", "app.cli", "models"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "The folder of models holds so many files" in done.stderr


def test_a_budget_that_others_used_up_is_no_verdict() -> None:
    with read_budget(-1, whole=False), pytest.raises(TooExpensive) as late:
        read_object(b'{"a": [%s1]}' % (b"1," * 1000))
    assert not late.value.final
