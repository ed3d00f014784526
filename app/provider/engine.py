"""The contract of an engine, and how one is named and built in its own process.

An engine is a package with two modules:

``format``  for the API process, so it imports no library that runs models: ``read(path)`` tells
            whether a file or folder is a model of this engine, ``need(card, limits)`` how many
            bytes it will take, ``LIBRARIES`` what must be installed.
``engine``  for the engine process: ``build(spec, progress)``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from app.provider.card import ModelCard
from app.provider.errors import ProviderError
from app.provider.memory import Need
from app.provider.types import Event, Prompt

ENGINES = {
    "echo": "app.provider.engines.echo",
    "gguf": "app.provider.engines.gguf",
    "onnx": "app.provider.engines.onnx",
    "mlx": "app.provider.engines.mlx",
    "pytorch": "app.provider.engines.pytorch",
}
"""Engine name → its package."""

UNWANTED = {ENGINES["mlx"]: ("torch",)}
"""What an engine's libraries would import if it is installed, and have no use for.

It takes some 200 MB and ten seconds of every start.
"""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an engine may use.

    ``slots`` sequences are decoded at once; ``context_length`` tokens hold one prompt with its
    answer (0: the model's own, as far as ``kv_cache_bytes`` reach); ``default_max_tokens`` bounds
    an answer whose request names no limit; ``threads`` CPU threads; ``gpu_layers`` layers go to
    the GPU (-1: all). ``kv_cache_bytes`` hold keys and values of running and recent
    conversations, ``prefix_cache_bytes`` of RAM those that had to leave. A picture becomes at most
    ``image_tokens`` of the prompt (0: the model's own bound); ``vision_cache_bytes`` of RAM hold
    what was computed of pictures. ``onnx_providers`` are onnxruntime's execution providers, the
    first that works is taken. ``torch_dtype`` is the type that PyTorch computes in: float32,
    bfloat16, float16, or auto for that of the files.
    """

    slots: int = 8
    context_length: int = 0
    default_max_tokens: int = 1024
    threads: int = 1
    gpu_layers: int = 0
    kv_cache_bytes: int = 512 * 2**20
    prefix_cache_bytes: int = 512 * 2**20
    image_tokens: int = 0
    vision_cache_bytes: int = 128 * 2**20
    onnx_providers: tuple[str, ...] = ("cpu",)
    torch_dtype: str = "auto"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How to build an engine in a child process: its package, a file or folder, the limits."""

    package: str
    path: str
    limits: EngineLimits


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a built engine accepts: sequences at once and tokens per sequence."""

    slots: int
    context_length: int


Events = list[tuple[int, Event | ProviderError]]
"""What a step gives, by job."""


class Engine(Protocol):
    """A blocking, step-based engine. Lives in a child process; knows no queue, lock or HTTP.

    ``prepare`` may be called from any thread; everything else from the one decode thread.
    """

    info: EngineInfo

    def prepare(self, prompt: Prompt) -> Any:
        """Template and tokenise; raises ContextOverflow or UnsupportedInput.

        What it returns is the engine's own, with the length of the prompt in ``prompt_tokens``.
        """

    def admit(self, job: int, prepared: Any) -> bool:
        """Take the job into a slot, or return False while others leave no room for it.

        An engine with no job in hand always has room. Started comes from the next step.
        """

    def step(self) -> Sequence[tuple[int, Event | ProviderError]]:
        """Advance every admitted job once; a job ends with its End event.

        One that cannot be served ends with an error of its own; an exception ends the process.
        """

    def drop(self, job: int) -> None:
        """Forget an admitted job at once."""

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next step on."""

    def close(self) -> None:
        """Free everything."""


EngineFactory = Callable[[EngineSpec, Callable[[int], None]], Engine]
"""Builds an engine and reports loading progress in percent; raises ModelNotLoadable."""


class Format(Protocol):
    """The module ``format`` of an engine's package."""

    LIBRARIES: tuple[str, ...]
    """Modules that the engine imports and that an installation may lack."""

    def read(self, path: Path) -> ModelCard | None:
        """Describe the model in this file or folder; None when it is none of this engine's.

        Raises OSError and TooExpensive; what is damaged or half copied gets a ``problem``.
        """

    def need(self, card: ModelCard, limits: EngineLimits) -> Need:
        """Bytes that the model's process will take with these limits."""


def load(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build the engine that ``spec`` names, in this process."""
    build = importlib.import_module(f"{spec.package}.engine").build
    return cast("EngineFactory", build)(spec, progress)


def format_of(engine: str) -> Format:
    """The light half of an engine of ``ENGINES``."""
    return cast("Format", importlib.import_module(f"{ENGINES[engine]}.format"))


def missing_library(engine: str) -> str | None:
    """Name a library that the engine needs and that is not installed."""
    for library in format_of(engine).LIBRARIES:
        if importlib.util.find_spec(library) is None:
            return library
    return None
