"""What ``vllm serve`` is started with: every option is one that vLLM has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import Settings
from app.provider.engine import EngineLimits, EngineSpec, VllmOptions
from app.provider.engines.vllm.command import serve_command, serve_environment
from tests.vllm import stub

TABLE = json.loads(stub.TABLE.read_text())
SOCKET = Path("/tmp/x/vllm.sock")
ON_GPU = EngineLimits(gpu_layers=-1, vllm=VllmOptions(command=("vllm",)))


def command(limits: EngineLimits) -> list[str]:
    return serve_command(EngineSpec("app.provider.engines.vllm", "/models/m", limits), SOCKET)


def options(limits: EngineLimits) -> dict[str, object]:
    """The options as vLLM understands them."""
    program, verb, *arguments = command(limits)
    assert (program, verb) == ("vllm", "serve")
    return stub.parse(arguments)


@pytest.mark.parametrize(
    "limits",
    [
        ON_GPU,
        EngineLimits(vllm=VllmOptions(command=("vllm",))),
        replace(ON_GPU, gpu_share=0.8, offload_bytes=2**31, context_length=4096),
    ],
)
def test_every_option_is_one_of_vllm(limits: EngineLimits) -> None:
    names = {word.partition("=")[0] for word in command(limits) if word.startswith("--")}
    assert names <= set(TABLE["options"])
    assert len(names) > 8
    assert options(limits)["model"] == "/models/m"


def test_the_table_is_that_of_a_real_version() -> None:
    assert TABLE["vllm"].count(".") == 2
    assert TABLE["options"]["--dtype"]["choices"][0] == "auto"
    assert TABLE["options"]["--uds"]["takes"] == "text"
    assert TABLE["options"]["--enable-prompt-tokens-details"]["takes"] == "nothing"


def test_it_is_served_on_the_socket_by_its_name() -> None:
    found = options(ON_GPU)
    assert found["--uds"] == str(SOCKET)
    assert found["--served-model-name"] == "m"


def test_settings_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "ENGINE_SLOTS": "32",
        "LLM_VLLM_ARGS": "--reasoning-parser qwen3",
        "LLM_VLLM_DTYPE": "bfloat16",
        "LLM_VLLM_MAX_MODEL_LEN": "16384",
        "LLM_VLLM_TENSOR_PARALLEL_SIZE": "2",
        "VLLM_COMMAND": "vllm",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = options(Settings(_env_file=None).pool().limits)
    assert found["--max-num-seqs"] == "32"
    assert found["--reasoning-parser"] == "qwen3"
    assert found["--dtype"] == "bfloat16"
    assert found["--max-model-len"] == "16384"
    assert found["--tensor-parallel-size"] == "2"


@pytest.mark.parametrize(
    ("model_len", "context_length", "length"), [(-1, 0, "-1"), (-1, 2048, "2048"), (99, 2048, "99")]
)
def test_the_longest_prompt(model_len: int, context_length: int, length: str) -> None:
    limits = EngineLimits(
        context_length=context_length,
        vllm=VllmOptions(command=("vllm",), max_model_len=model_len),
    )
    assert options(limits)["--max-model-len"] == length


def test_memory_is_a_share_or_bytes_for_keys_and_values() -> None:
    filling = options(replace(ON_GPU, gpu_share=0.80399, kv_cache_bytes=7))
    assert filling["--gpu-memory-utilization"] == "0.803"
    assert "--kv-cache-memory-bytes" not in filling
    two = replace(ON_GPU.vllm, tensor_parallel_size=2)
    bounded = options(replace(ON_GPU, kv_cache_bytes=2**30, offload_bytes=2**31, vllm=two))
    assert bounded["--kv-cache-memory-bytes"] == str(2**29)
    assert bounded["--cpu-offload-gb"] == "1.0"
    assert "--gpu-memory-utilization" not in bounded


def test_without_a_gpu_it_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    on_cpu = EngineLimits(kv_cache_bytes=5 * 2**30)
    assert environment(on_cpu)["CUDA_VISIBLE_DEVICES"] == ""
    assert environment(ON_GPU)["CUDA_VISIBLE_DEVICES"] == "3"
    assert options(replace(on_cpu, vllm=ON_GPU.vllm))["--kv-cache-memory-bytes"] == str(5 * 2**30)


def environment(limits: EngineLimits) -> dict[str, str]:
    spec = EngineSpec("app.provider.engines.vllm", "/models/m", limits)
    return serve_environment(spec, Path("/tmp/x"), "a key")


def test_its_environment_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/here")
    monkeypatch.setenv("VLLM_CACHE_ROOT", "/cache")
    found = environment(ON_GPU)
    assert "PYTHONPATH" not in found
    assert found["VLLM_CACHE_ROOT"] == "/cache"
    assert found["VLLM_API_KEY"] == "a key"
    assert (found["VLLM_NO_USAGE_STATS"], found["HF_HUB_OFFLINE"]) == ("1", "1")
