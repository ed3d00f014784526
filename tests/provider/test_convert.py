"""Hugging Face folders become folders that other engines read, or nothing changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from app.provider.conversion import convert as module
from app.provider.conversion.convert import CannotConvert, Conversion, convert, find_source
from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load, missing_library
from app.provider.types import Delta, End
from tests.provider.asking import MODELS, prompt
from tests.selection import matrix

pytestmark = pytest.mark.slow

SOURCE = MODELS / "starter-hf"
LIMITS = EngineLimits(threads=1)
QUESTION = "How do I call API version one?"

needs_mlx = pytest.mark.skipif(missing_library("mlx") is not None, reason="mlx is not installed")


def visible(models_dir: Path) -> list[str]:
    return sorted(path.name for path in models_dir.iterdir() if not path.name.startswith("."))


def hidden(models_dir: Path) -> list[Path]:
    return [path for path in models_dir.glob(".incoming/**/*") if path.is_file()]


def answer(folder: Path) -> str:
    """What an engine stepped in this process says to a question."""
    engine = load(EngineSpec(ENGINES["mlx"], str(folder), LIMITS), lambda _: None)
    engine.admit(0, engine.prepare(prompt(QUESTION)))
    events: list[object] = []
    while not events or not isinstance(events[-1], End):
        events += [event for _, event in engine.step()]
    return "".join(event.text for event in events if isinstance(event, Delta))


@needs_mlx
@pytest.mark.matrix
def test_four_bits(tmp_path: Path) -> None:
    made = convert(Conversion(SOURCE, "mlx"), tmp_path, LIMITS)
    assert made == tmp_path / "starter-hf-mlx-4bit"
    settings = json.loads((made / "config.json").read_text())
    assert settings["quantization"]["bits"] == 4
    assert (made / "model.safetensors").stat().st_size < 1_100_000
    assert not hidden(tmp_path)
    with pytest.raises(CannotConvert, match="quantised already"):
        convert(Conversion(made, "mlx"), tmp_path, LIMITS)


@needs_mlx
@pytest.mark.matrix
def test_eight_bits_answer_like_the_original(tmp_path: Path) -> None:
    wanted = Conversion(SOURCE, "mlx", bits=8, dtype="float32", name="small")
    made = convert(wanted, tmp_path, LIMITS)
    assert made == tmp_path / "small"
    assert answer(made) == answer(SOURCE)


@needs_mlx
@pytest.mark.matrix
def test_unquantised_with_another_type_and_the_papers(tmp_path: Path) -> None:
    source = tmp_path / "original"
    shutil.copytree(SOURCE, source)
    (source / "LICENSE").write_text("Do as you like.")
    (source / "README.md").write_text("A model.")
    made = convert(Conversion(source, "mlx", bits=0, dtype="bfloat16"), tmp_path, LIMITS)
    assert made.name == "original-mlx-bfloat16"
    assert json.loads((made / "config.json").read_text())["dtype"] == "bfloat16"
    assert (made / "LICENSE").read_text() == "Do as you like."
    assert (made / "README.md").read_text() == "A model."


@needs_mlx
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot be used"),
        (lambda folder: (folder / "config.json").write_text('{"model_file": "x.py"}'), "own"),
        *matrix(
            (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "cannot be c"),
            (lambda folder: (folder / "config.json").write_text('{"model_type": "x"}'), "not supp"),
        ),
    ],
)
def test_what_cannot_be_converted_leaves_nothing(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    source = tmp_path / "original"
    shutil.copytree(SOURCE, source)
    spoil(source)
    with pytest.raises(CannotConvert, match=reason):
        convert(Conversion(source, "mlx"), tmp_path, LIMITS)
    assert visible(tmp_path) == ["original"]
    assert not hidden(tmp_path)


@needs_mlx
def test_a_result_that_says_nothing_is_not_kept(tmp_path: Path) -> None:
    """Its settings end every answer at once: each token is one that ends it."""
    source = tmp_path / "silent"
    shutil.copytree(SOURCE, source)
    ends = json.dumps({"eos_token_id": list(range(3072))})
    (source / "generation_config.json").write_text(ends)
    with pytest.raises(CannotConvert, match="says nothing"):
        convert(Conversion(source, "mlx"), tmp_path, LIMITS)
    assert visible(tmp_path) == ["silent"]


@needs_mlx
def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(CannotConvert, match="there already"):
        convert(Conversion(SOURCE, "mlx", name="taken"), tmp_path, LIMITS)
    for name in ("../outside", ".hidden", "a/b"):
        with pytest.raises(CannotConvert, match="name of a folder"):
            convert(Conversion(SOURCE, "mlx", name=name), tmp_path, LIMITS)


@needs_mlx
def test_a_full_disk_is_noticed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_space", lambda *_: 10**18)
    with pytest.raises(CannotConvert, match="MB are free"):
        convert(Conversion(SOURCE, "mlx"), tmp_path, LIMITS)


KILLED = """
import sys
from pathlib import Path
from app.provider.conversion.convert import Conversion, convert
from app.provider.engine import EngineLimits
convert(Conversion(Path(sys.argv[1]), "mlx"), Path(sys.argv[2]), EngineLimits(threads=1))
"""


@needs_mlx
@pytest.mark.matrix
def test_killed_half_way_nothing_is_seen_and_the_next_one_succeeds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(SOURCE), str(tmp_path)]
    process = subprocess.Popen(command)
    draft = tmp_path / ".incoming" / "convert-starter-hf-mlx-4bit" / "starter-hf-mlx-4bit"
    deadline = time.monotonic() + 60
    while not draft.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert visible(tmp_path) == []
    assert convert(Conversion(SOURCE, "mlx"), tmp_path, LIMITS).is_dir()
    assert visible(tmp_path) == ["starter-hf-mlx-4bit"]


def test_a_dtype_that_would_mean_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotConvert, match="leave --dtype out"):
        convert(Conversion(SOURCE, "onnx", bits=4, dtype="float16"), tmp_path, LIMITS)


def test_the_builder_for_onnx_is_named_where_it_is_missing(tmp_path: Path) -> None:
    if not module.missing("onnx"):
        pytest.skip("the builder is installed")
    with pytest.raises(CannotConvert, match=r"\./run\.sh install onnx-builder"):
        convert(Conversion(SOURCE, "onnx"), tmp_path, LIMITS)


@pytest.mark.matrix
def test_to_onnx(tmp_path: Path) -> None:
    if extra := module.missing("onnx"):
        pytest.skip(f"the extra {extra} is not installed")
    made = convert(Conversion(SOURCE, "onnx"), tmp_path, LIMITS)
    assert (made / "genai_config.json").is_file()


def test_a_source_is_a_path_or_an_id(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "deep" / "mine")
    assert find_source(tmp_path, "mine") == tmp_path / "deep" / "mine"
    assert find_source(tmp_path, str(SOURCE)) == SOURCE
    with pytest.raises(CannotConvert, match="no folder nothing"):
        find_source(tmp_path, "nothing")


@needs_mlx
@pytest.mark.matrix
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    options = ["--to", "mlx", "--quantize", "none", "--name", "made"]
    first = CliRunner().invoke(app, ["convert", str(SOURCE), *options])
    again = CliRunner().invoke(app, ["convert", str(SOURCE), *options])
    assert (first.exit_code, again.exit_code) == (0, 1)
    assert "Ask for the model 'made'" in first.output
    assert "there already" in again.output
    assert CliRunner().invoke(app, ["convert", str(SOURCE), "--to", "mp3"]).exit_code == 2
