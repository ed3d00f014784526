"""Converts a Hugging Face folder into an MLX or ONNX folder and tries the result.

A process of its own converts into a hidden folder. The result is loaded and asked a question, and
renamed into the models folder only if it answers. An encoder's graphs are compared with the model
first. Code that a model brings is never run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from app.provider.catalogue.scan import scan
from app.provider.encoding.folders.recognise import encoder_kind
from app.provider.engine import EngineLimits, format_of
from app.provider.errors import ProviderError
from app.provider.headers.files import optional_json
from app.provider.hub.plan import INCOMING
from app.provider.hub.staging import lock_folder
from app.provider.pool import smoke_test
from app.provider.runtime.child_process import import_path
from app.provider.runtime.status import HostPolicy
from app.provider.types import Message, Prompt, Sampling, TextPart

Target = Literal["mlx", "onnx"]
Dtype = Literal["float16", "bfloat16", "float32"]
Bits = Literal[0, 4, 8]
"""Bits of a weight; 0 does not quantise."""

LICENCE_FILES = ("LICENSE*", "LICENCE*", "NOTICE*", "COPYING*", "USE_POLICY*", "README.md")
"""Files that are copied along with the weights."""

_NEEDS: dict[Target, tuple[str, tuple[str, ...]]] = {
    "mlx": ("mlx", ("mlx", "mlx_lm")),
    "onnx": ("onnx-builder", ("onnxruntime_genai", "onnx", "onnx_ir", "torch", "transformers")),
}
"""Target → the extra with the converter, and the modules that it needs."""
_USUAL_BITS: Bits = 4
_PRECISION = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}


class CannotConvert(Exception):
    """``str()`` is one sentence for the user; the models folder is unchanged."""


@dataclass(frozen=True)
class Conversion:
    """A wanted conversion of a Hugging Face folder.

    ``bits`` None packs weights into four bits, except those of an encoder, which stay as they
    are. ``dtype`` None keeps the type of the weights; ONNX for CPUs then has float32.
    """

    source: Path
    target: Target
    bits: Bits | None = None
    dtype: Dtype | None = None
    name: str = ""

    @cached_property
    def encodes(self) -> bool:
        """Whether it is an encoder."""
        return encoder_kind(self.source, optional_json(self.source / "config.json")) is not None

    @property
    def packed(self) -> Bits:
        """Bits of a weight in the result."""
        if self.bits is None:
            return 0 if self.encodes else _USUAL_BITS
        return self.bits

    @property
    def result(self) -> str:
        """The name of the new folder, given by the user or made from source and format."""
        kind = f"{self.packed}bit" if self.packed else self.dtype
        return self.name or "-".join(filter(None, [self.source.name, self.target, kind]))


def find_source(models_dir: Path, name: str) -> Path:
    """Find a folder by path, or by id in the models folder; raises CannotConvert."""
    path = Path(name).expanduser()
    named = [card.path for card in scan(models_dir) if card.id == name and card.path.is_dir()]
    for folder in (path, *named):
        if folder.is_dir():
            return folder.resolve()
    raise CannotConvert(f"There is no folder {name}, and no folder of that name in {models_dir}.")


def convert(wanted: Conversion, models_dir: Path, limits: EngineLimits) -> Path:
    """Make the new folder in ``models_dir`` and return it; raises CannotConvert."""
    result = models_dir / wanted.result
    _check(wanted, result, models_dir)
    with _draft(models_dir, wanted.result) as draft:
        _run(_command(wanted, draft), wanted)
        for pattern in LICENCE_FILES:
            for file in wanted.source.glob(pattern):
                shutil.copyfile(file, draft / file.name)
        if wanted.encodes:
            _encode(draft, limits)
        else:
            _smoke_test(wanted.target, draft, limits)
        if result.exists():
            raise CannotConvert(f"{result} has appeared meanwhile and stays as it is.")
        draft.rename(result)
    return result


def missing(target: Target) -> str:
    """The extra that must be installed to convert to ``target``; empty if none is missing."""
    extra, modules = _NEEDS[target]
    return extra if any(importlib.util.find_spec(module) is None for module in modules) else ""


def _check(wanted: Conversion, result: Path, models_dir: Path) -> None:
    """Raise CannotConvert for a conversion that cannot succeed, before anything is computed."""
    if wanted.encodes:
        _check_encoder(wanted)
    if wanted.target == "onnx" and wanted.packed and wanted.dtype:
        raise CannotConvert("A quantised ONNX model computes in float32: leave --dtype out.")
    if extra := missing(wanted.target):
        raise CannotConvert(f"A library is missing: ./run.sh install {extra}")
    if not (wanted.source / "config.json").is_file():
        raise CannotConvert(f"{wanted.source} is no Hugging Face folder: it has no config.json.")
    if Path(wanted.result).name != wanted.result or wanted.result.startswith("."):
        raise CannotConvert(f"{wanted.result!r} cannot be the name of a folder.")
    if result.exists():
        raise CannotConvert(f"{result} is there already: choose another --name or delete it.")
    free, needed = shutil.disk_usage(models_dir).free, _space(wanted, _weights(wanted.source))
    if needed > free:
        sizes = f"{needed / 1e6:,.0f} MB of disk, but only {free / 1e6:,.0f} MB are free"
        raise CannotConvert(f"This needs up to {sizes}.")


def _weights(source: Path) -> int:
    """Bytes of the weights of a folder."""
    size = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    if not size:
        raise CannotConvert(f"{source} has no weights (*.safetensors).")
    return size


def _check_encoder(wanted: Conversion) -> None:
    if wanted.target != "onnx":
        raise CannotConvert(f"{wanted.source.name} makes vectors or scores: use --to onnx.")
    if wanted.packed == 4:
        raise CannotConvert("Four bits are too few for an encoder: use --quantize 8 or none.")
    if wanted.dtype not in (None, "float32"):
        raise CannotConvert("Graphs of encoders compute in float32: leave --dtype out.")


def _space(wanted: Conversion, weights: int) -> int:
    """The most bytes that the new folder can take.

    A source has at least eight bits for each weight. Quantising adds scales for groups of 64
    weights and leaves some layers as they are.
    """
    widest = 2 if wanted.dtype == "float32" or wanted.target == "onnx" else 1
    return weights if wanted.packed and wanted.target == "mlx" else widest * weights


def _command(wanted: Conversion, draft: Path) -> list[str]:
    python = [sys.executable, "-m"]
    source, target = str(wanted.source), str(draft)
    if wanted.target == "mlx":
        how = [str(wanted.packed), wanted.dtype or "-"]
        return [*python, "app.provider.engines.mlx.convert", source, target, *how]
    if wanted.encodes:
        module = "app.provider.conversion.encoder_export"
        return [*python, module, source, target, str(wanted.packed)]
    precision = f"int{wanted.packed}" if wanted.packed else _PRECISION[wanted.dtype or "float32"]
    builder = [*python, "onnxruntime_genai.models.builder", "-m", source, "-o", target]
    return [*builder, "-p", precision, "-e", "cpu", "-c", str(draft.parent / "cache")]


def _run(command: list[str], wanted: Conversion) -> None:
    """Run a converter without network; the last line of its output is the reason of a failure."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONPATH": import_path()}
    done = subprocess.run(
        command,
        env=os.environ | offline,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise CannotConvert(f"{wanted.source.name} cannot be converted: {lines[-1]}")


def _smoke_test(engine: str, folder: Path, limits: EngineLimits) -> None:
    """Load the result in an engine process and greet it; raises CannotConvert."""
    try:
        question = _question(engine, folder)
        text = smoke_test.answer(engine, folder, replace(limits, slots=1), HostPolicy(), question)
    except ProviderError as error:
        raise CannotConvert(f"The result cannot be used and was deleted: {error}") from error
    if not text.strip():
        raise CannotConvert("The result says nothing to a greeting and was deleted.")


def _encode(folder: Path, limits: EngineLimits) -> None:
    """Load the result in an engine process and let it encode; raises CannotConvert."""
    if problem := smoke_test.failure(folder, limits, HostPolicy()):
        raise CannotConvert(f"The result cannot be used and was deleted: {problem}")


def _question(engine: str, folder: Path) -> Prompt:
    """A greeting, with a picture for vision models."""
    card = format_of(engine).read(folder)
    shown = (smoke_test.GREY_PICTURE,) if card and "vision" in card.tasks else ()
    message = Message("user", (*shown, TextPart("Hello")))
    return Prompt((message,), Sampling(temperature=0.0, max_tokens=16))


@contextmanager
def _draft(models_dir: Path, name: str) -> Iterator[Path]:
    """A hidden folder in the models folder for the result; deleted at the end of the block.

    A killed conversion leaves it behind; the next one of that name deletes it first.
    """
    folder = models_dir / INCOMING / f"convert-{name}"
    descriptor = lock_folder(folder)
    if descriptor is None:
        raise CannotConvert(f"Another process is just making {name}.")
    try:
        shutil.rmtree(folder / name, ignore_errors=True)
        try:
            yield folder / name
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
