"""The command line and the environment of ``vllm serve``, made of a model's limits."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from app.provider.engine import EngineLimits, EngineSpec
from app.provider.engines.vllm.output_parsers import parser_options

_GIB = 2**30

_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "GOMP_SPINCOUNT")
"""Variables that are meant for this program's own environment."""

_ALWAYS = (
    "--generation-config=vllm",  # sampling is what the request says, not the model's own
    "--enable-prompt-tokens-details",  # else the usage lacks the tokens from the cache
    "--disable-uvicorn-access-log",
)

_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


def serve_command(spec: EngineSpec, socket: Path) -> list[str]:
    """The command that serves the model on a unix socket, by the name of its folder."""
    options = spec.limits.vllm
    path = os.path.abspath(spec.path)  # another text might be taken for a name on the hub
    return [
        *options.command,
        "serve",
        path,
        f"--uds={socket}",
        f"--served-model-name={os.path.basename(path)}",
        *_ALWAYS,
        *_sizes(spec.limits),
        *_memory(spec.limits),
        *parser_options(Path(path), options.arguments),
        *options.arguments,
    ]


def _sizes(limits: EngineLimits) -> Iterator[str]:
    options = limits.vllm
    length = options.max_model_len if options.max_model_len > 0 else limits.context_length
    yield f"--dtype={options.dtype}"
    yield f"--max-model-len={length or -1}"
    yield f"--max-num-seqs={limits.slots}"
    yield f"--tensor-parallel-size={options.tensor_parallel_size}"


def _memory(limits: EngineLimits) -> Iterator[str]:
    """The share of each GPU to take, or the bytes for keys and values in each of them or in RAM."""
    gpus = limits.vllm.tensor_parallel_size
    if limits.gpu_share:
        yield f"--gpu-memory-utilization={math.floor(limits.gpu_share * 1000) / 1000}"
    elif limits.kv_cache_bytes:
        yield f"--kv-cache-memory-bytes={limits.kv_cache_bytes // gpus}"
    if limits.offload_bytes:
        yield f"--cpu-offload-gb={math.ceil(limits.offload_bytes / gpus / _GIB * 100) / 100}"


def serve_environment(spec: EngineSpec, folder: Path, key: str) -> dict[str, str]:
    """The environment of the server; ``folder`` is its own, ``key`` what requests must name.

    Without GPUs to use it sees none. What it compiles stays in VLLM_CACHE_ROOT.
    """
    limits = spec.limits
    ours = {name: value for name, value in os.environ.items() if name not in _OURS}
    variables = {
        **ours,
        **_QUIET,
        "VLLM_API_KEY": key,
        "VLLM_RPC_BASE_PATH": str(folder),
        "VLLM_ENGINE_READY_TIMEOUT_S": str(math.ceil(limits.vllm.load_seconds)),
    }
    return variables if limits.gpu_layers else variables | {"CUDA_VISIBLE_DEVICES": ""}
