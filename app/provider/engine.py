"""The contract of an engine, and the table of all engines.

An engine is a package with two modules:

``format``      for the API process, so it imports no library that runs models: ``read(path)``
                describes a file or folder that is a model of this engine, ``need(card, limits)``
                predicts its memory, ``LIBRARIES`` names what must be installed.
``engine``      for the engine process: ``build(spec, progress)``.

It may have more, where that applies:

``hf_folders``  for an engine that shares folders of config.json and safetensors with others: how
                well it suits a model (``catalogue.engine_choice``).
``inspection``  for an engine whose models have chat templates: ``open_vocabulary(path)`` opens the
                tokenizer alone, in a process of its own (``generation.inspect``).
``tokenize``    a method of the engine that shows the tokens of a text (``TokenizingEngine``).
``ENVIRONMENT``, ``UNWANTED_LIBRARIES`` and ``WORKER`` in its ``__init__``: environment variables of
                its processes, modules that its libraries must not import, and the module that its
                processes run, if it is not ``runtime.worker``.
``FILLS_GPU``   in its ``__init__``: unless ``KV_CACHE_MB`` is set, it takes all GPU memory that it
                may for keys and values.
``STARTS_PROCESSES`` in its ``__init__``: its process starts others, which unloading waits for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

from msgspec import Meta

from app.provider.card import ModelCard
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.memory import Need
from app.provider.remote import RemoteModel
from app.provider.types import Event, Prompt, Tokens

ENGINES = {
    "echo": "app.provider.engines.echo",
    "gguf": "app.provider.engines.gguf",
    "onnx": "app.provider.engines.onnx",
    "mlx": "app.provider.engines.mlx",
    "pytorch": "app.provider.engines.pytorch",
    "upstream": "app.provider.engines.upstream",
    "vllm": "app.provider.engines.vllm",
}
"""Engine name → its package."""

_WORKER = "app.provider.runtime.worker"
"""For engines that compute in steps."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library that an engine needs: its name for users, and the command that installs it."""

    name: str
    install: str = ""


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """How ``vllm serve`` is started.

    ``command`` is the program with its first arguments (empty: there is none), ``arguments``
    further ones. A model's matrices are divided among ``tensor_parallel_size`` GPUs and computed
    in the type ``dtype``. ``max_model_len`` tokens hold one prompt with its answer (-1: as many as
    fit into the memory). It has to be ready after ``load_seconds``.
    """

    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    max_model_len: int = -1
    load_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an engine may use.

    ``slots`` sequences are decoded at once; ``context_length`` tokens hold one prompt with its
    answer (0: the model's own, as far as ``kv_cache_bytes`` reach); ``default_max_tokens`` bounds
    an answer whose request names no limit; ``threads`` CPU threads; ``gpu_layers`` layers go to
    the GPU (-1: all). ``kv_cache_bytes`` hold keys and values of running and recent
    conversations (0: a share of the memory, known before the engine is built),
    ``prefix_cache_bytes`` of RAM those that had to leave. An image becomes at most
    ``image_tokens`` of the prompt (0: the model's own bound); ``vision_cache_bytes`` of RAM hold
    image features. ``onnx_providers`` are onnxruntime's execution providers, the first that works
    is taken. ``torch_dtype`` is the type that PyTorch computes in: float32, bfloat16, float16, or
    auto for that of the files. ``gpu_devices`` are the GPUs that its process sees, as in
    CUDA_VISIBLE_DEVICES ("": all). An engine that fills the GPUs takes ``gpu_share`` of their
    memory (0: it takes what ``kv_cache_bytes`` say), and ``offload_bytes`` of its weights stay in
    RAM. ``vllm`` is how that engine is started. An echo says ``echo_words_per_second`` (0: as many
    as it can).
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
    gpu_devices: str = ""
    gpu_share: float = 0.0
    offload_bytes: int = 0
    vllm: VllmOptions = VllmOptions()
    echo_words_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How to build an engine in a child process: its package, a file or folder, the limits.

    ``remote`` is the server that does the work, where another one does.
    """

    package: str
    path: str
    limits: EngineLimits
    remote: RemoteModel | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a built engine accepts: sequences at once, tokens per sequence, and which jobs.

    ``constrains``: it keeps answers to schemas and grammars, and knows ``logit_bias``.
    """

    slots: Annotated[int, Meta(ge=1, le=4096)]
    context_length: Annotated[int, Meta(ge=1)]
    generates: bool = True
    encodes: bool = False
    constrains: bool = False


Events = list[tuple[int, Event | ProviderError]]
"""Events of a step, each with its job."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A task that is prepared but for something that takes long, such as compiling a grammar.

    ``finish`` does that and returns the prepared task; it raises what ``prepare`` raises. It is
    called in a thread of its own, one at a time, owners in turn. ``warm_up`` comes first: its time
    is not counted against the request.
    """

    owner: str
    prompt_tokens: int
    warm_up: Callable[[], None]
    finish: Callable[[], Any]


class Engine(Protocol):
    """A blocking, step-based engine. Lives in a child process; knows no queue, lock or HTTP.

    ``prepare`` may be called from any thread; everything else from the one decode thread.
    """

    info: EngineInfo

    def prepare(self, task: Any) -> Any:
        """Template and tokenise; raises ContextOverflow or UnsupportedInput.

        It gets a ``Prompt``, or an ``Encode`` where its ``info`` says that it encodes.

        The result is the engine's own type, or ``Deferred``. That of a prompt has its length in
        ``prompt_tokens``.
        """

    def admit(self, job: int, prepared: Any) -> bool:
        """Take the job into a slot, or return False while other jobs leave no room for it.

        An engine without jobs always has room. ``step`` emits the job's Started event.
        """

    def step(self) -> Sequence[tuple[int, Event | ProviderError]]:
        """Advance every admitted job once; a job ends with its End event.

        A job that cannot be served ends with an error as its event. A raised exception ends the
        process.
        """

    def drop(self, job: int) -> None:
        """Forget an admitted job at once."""

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next step on."""

    def close(self) -> None:
        """Free everything."""


class TokenizingEngine(Protocol):
    """An engine that shows the tokens of texts; from any thread."""

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """Tokenise a prompt as ``prepare`` does; raises UnsupportedInput.

        A raw text gets the tokens of every beginning only if ``special``.
        """


EngineFactory = Callable[[EngineSpec, Callable[[int], None]], Engine]
"""Builds an engine and reports loading progress in percent; raises ModelNotLoadable."""


class Format(Protocol):
    """The module ``format`` of an engine's package."""

    LIBRARIES: Mapping[str, Library]
    """What the engine imports and an installation may lack, by the name of the module."""

    def read(self, path: Path) -> ModelCard | None:
        """Describe the model in this file or folder; None when it is none of this engine's.

        A damaged or incomplete model gets a ``problem``. Raises OSError and TooExpensive.
        """

    def need(self, card: ModelCard, limits: EngineLimits) -> Need:
        """Bytes that the model's process will take with these limits."""


def load(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build the engine that ``spec`` names, in this process."""
    build = importlib.import_module(f"{spec.package}.engine").build
    return cast("EngineFactory", build)(spec, progress)


def tokenizing(engine: Engine) -> TokenizingEngine:
    """The engine, if it shows tokens; raises UnsupportedInput."""
    if not hasattr(engine, "tokenize"):
        raise UnsupportedInput("This engine does not show the tokens of a text.")
    return cast("TokenizingEngine", engine)


def format_of(engine: str) -> Format:
    """The module ``format`` of an engine of ``ENGINES``."""
    return cast("Format", importlib.import_module(f"{ENGINES[engine]}.format"))


def missing_library(engine: str) -> str | None:
    """The module of a library that the engine needs and that is not installed."""
    for library in format_of(engine).LIBRARIES:
        if importlib.util.find_spec(library) is None:
            return library
    return None


def environment(package: str) -> Mapping[str, str]:
    """Environment variables that the processes of an engine need (``ENVIRONMENT``)."""
    found: Mapping[str, str] = getattr(importlib.import_module(package), "ENVIRONMENT", {})
    return found


def worker_module(package: str) -> str:
    """The module that the processes of an engine run (``WORKER``)."""
    found: str = getattr(importlib.import_module(package), "WORKER", _WORKER)
    return found


def unwanted_libraries(package: str) -> tuple[str, ...]:
    """Modules that must not be imported in an engine's process (``UNWANTED_LIBRARIES``)."""
    found: tuple[str, ...] = getattr(importlib.import_module(package), "UNWANTED_LIBRARIES", ())
    return found


def fills_gpu(engine: str) -> bool:
    """Whether an engine of ``ENGINES`` takes all GPU memory that it may (``FILLS_GPU``)."""
    return bool(getattr(importlib.import_module(ENGINES[engine]), "FILLS_GPU", False))


def starts_processes(package: str) -> bool:
    """Whether the processes of an engine start others (``STARTS_PROCESSES``)."""
    return bool(getattr(importlib.import_module(package), "STARTS_PROCESSES", False))
