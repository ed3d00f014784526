"""Settings under the names of other projects: what each does, and which name wins."""

from __future__ import annotations

from pathlib import Path

import httpx
import psutil
import pytest

from app.config import InvalidSetting, Settings, conflicts, read
from app.config.other_names import OTHER_NAMES
from app.provider.card import ModelCard
from app.provider.engine import ENGINES, EngineSpec, format_of
from app.provider.pool.pool import ModelPool
from app.provider.runtime.engine_process import EngineProcess
from tests.provider.asking import MODELS, STARTER
from tests.proxy.nginx import free_ports
from tests.setup.test_serve import serving


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting in the environment, and no file ``.env``."""
    for name in (*Settings.model_fields, *(other.name for other in OTHER_NAMES)):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


VALUES = {
    ("LLM_HOST", "host"): ("0.0.0.0", "0.0.0.0"),  # noqa: S104
    ("LLM_PORT", "port"): ("15530", 15530),
    ("LLM_LOG_LEVEL", "log_level"): ("debug", "DEBUG"),
    ("LLM_MODELS_DIR", "models_dir"): ("/elsewhere", Path("/elsewhere")),
    ("LOCAL_MODELS_DIR", "models_dir"): ("/elsewhere", Path("/elsewhere")),
    ("LLM_CUDA_VISIBLE_DEVICES", "cuda_visible_devices"): ("0,1", "0,1"),
    ("MODEL_DEVICE", "use_gpu"): ("cuda", True),
    ("MODEL_DEVICE", "cuda_visible_devices"): ("cuda:1", "1"),
    ("MODEL_DTYPE", "torch_dtype"): ("torch.float16", "float16"),
    ("HOST_MODEL_DIR", "sllm_model_path"): (str(MODELS), MODELS),
    ("HOST_MODEL_DIR", "vision_model_path"): (str(MODELS), MODELS),
    ("MODEL_PATH", "sllm_model_path"): ("/models/m.gguf", Path("/models/m.gguf")),
    ("MODEL_PATH", "vision_model_path"): ("/models/m.gguf", Path("/models/m.gguf")),
    ("DEVICE", "use_gpu"): ("cuda", True),
    ("DEVICE", "cuda_visible_devices"): ("cuda:1", "1"),
    ("HUGGINGFACE_TOKEN", "hf_token"): ("hf_secret", "hf_secret"),
}
"""What the other name of each setting says, and the value that it makes."""


def test_every_other_name_is_tried() -> None:
    assert set(VALUES) == {(other.name, other.setting) for other in OTHER_NAMES}


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize(("name", "setting"), VALUES)
def test_another_name_sets_it(
    bare: pytest.MonkeyPatch, name: str, setting: str, in_file: bool
) -> None:
    text, value = VALUES[name, setting]
    if in_file:
        Path(".env").write_text(f"{name}={text}\n")
    else:
        bare.setenv(name, text)
    settings = Settings()
    assert getattr(settings, setting) == value
    assert value != Settings.model_fields[setting].default
    assert list(conflicts(settings)) == []


@pytest.mark.parametrize(
    ("name", "text", "setting", "value"),
    [
        ("MODEL_DEVICE", "cpu", "use_gpu", False),
        ("MODEL_DEVICE", "CPU", "use_gpu", False),
        ("MODEL_DEVICE", "mps", "use_gpu", True),
        ("MODEL_DEVICE", "auto", "use_gpu", True),
        ("MODEL_DEVICE", "cuda", "cuda_visible_devices", ""),
        ("MODEL_DTYPE", "BF16", "torch_dtype", "bfloat16"),
        ("MODEL_DTYPE", "half", "torch_dtype", "float16"),
        ("LLM_LOG_LEVEL", "warn", "log_level", "WARNING"),
    ],
)
def test_spellings(
    bare: pytest.MonkeyPatch, name: str, text: str, setting: str, value: object
) -> None:
    bare.setenv(name, text)
    assert getattr(Settings(), setting) == value


@pytest.mark.parametrize(("folder", "used"), [(str(MODELS), MODELS), ("C:/models/m", Path("/m"))])
def test_a_folder_of_the_host_counts_where_it_exists(
    bare: pytest.MonkeyPatch, folder: str, used: Path
) -> None:
    """Inside a container there is only what is mounted at MODEL_PATH."""
    bare.setenv("MODEL_PATH", "/m")
    bare.setenv("HOST_MODEL_DIR", folder)
    assert Settings().vision_model_path == used


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"MODEL_DEVICE": "tpu"}, "MODEL_DEVICE=tpu is not cpu, cuda, cuda:N, mps or auto; or set"),
        ({"MODEL_DTYPE": "int8"}, "MODEL_DTYPE=int8 is not auto, float32, bfloat16 or float16;"),
        ({"LLM_PORT": "99999"}, "LLM_PORT=99999: Input should be less than or equal to 65535."),
        ({"LLM_PORT": "1", "PORT": "99999"}, "PORT=99999: Input should be less"),
    ],
)
def test_an_impossible_value(
    bare: pytest.MonkeyPatch, given: dict[str, str], sentence: str
) -> None:
    for name, value in given.items():
        bare.setenv(name, value)
    with pytest.raises(InvalidSetting) as found:
        read()
    assert str(found.value).startswith(sentence)


@pytest.mark.parametrize(
    ("ours", "theirs", "warnings"),
    [
        ("PORT=1", "LLM_PORT=2", ["PORT=1 is used, not LLM_PORT=2, which names the same setting."]),
        ("PORT=1", "LLM_PORT=1", []),
        ("USE_GPU=0", "MODEL_DEVICE=cpu", []),
        (
            "USE_GPU=0",
            "DEVICE=cuda",
            ["USE_GPU=0 is used, not DEVICE=cuda, which names the same setting."],
        ),
        (
            "USE_GPU=0",
            "DEVICE=tpu",
            ["USE_GPU=0 is used, not DEVICE=tpu, which names the same setting."],
        ),
        (
            "LLM_MODELS_DIR=a",
            "LOCAL_MODELS_DIR=b",
            ["LLM_MODELS_DIR=a is used, not LOCAL_MODELS_DIR=b, which names the same setting."],
        ),
        (
            "HF_TOKEN=hf_a",
            "HUGGINGFACE_TOKEN=hf_b",
            ["HF_TOKEN is used, not HUGGINGFACE_TOKEN, which names the same setting."],
        ),
        (
            "SLLM_MODEL_PATH=/a.gguf",
            "DEFAULT_CHAT_MODEL=b",
            ["SLLM_MODEL_PATH=/a.gguf is used, not DEFAULT_CHAT_MODEL=b."],
        ),
        ("SLLM_MODEL_PATH=/a.gguf", "DEFAULT_CHAT_MODEL=a", []),
        (
            "GPU_LAYERS=3",
            "LLM_ENABLE_GPU_MEMORY_OFFLOAD=false",
            [
                "GPU_LAYERS=3 is used, which may split a model, not "
                "LLM_ENABLE_GPU_MEMORY_OFFLOAD=false."
            ],
        ),
    ],
)
def test_ours_wins_and_a_difference_is_one_warning(
    bare: pytest.MonkeyPatch, ours: str, theirs: str, warnings: list[str]
) -> None:
    """Ours may stand in the file, over which the environment wins otherwise."""
    Path(".env").write_text(f"{ours}\n")
    alone = Settings()
    bare.setenv(*theirs.split("=", 1))
    both = Settings()
    winner = next((other.setting for other in OTHER_NAMES if ours.startswith(other.name)), None)
    setting = winner or ours.partition("=")[0].lower()
    assert getattr(both, setting) == getattr(alone, setting)
    assert list(conflicts(both)) == warnings


def test_the_server_is_where_the_other_names_say(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / ".env").write_text(f"LLM_HOST=127.0.0.1\nLLM_PORT={port}\nMODELS_DIR=wrong\n")
    theirs = {"LLM_MODELS_DIR": str(tmp_path), "LLM_LOG_LEVEL": "error", "MODEL_DEVICE": "cpu"}
    named = {"DEFAULT_CHAT_MODEL": "echo-vision", "DEFAULT_EMBEDDING_MODEL": "none-such"}
    with serving(tmp_path, PORT="", ENABLE_ECHO="true", **theirs, **named) as server:
        assert server.stdout
        while server.stdout.readline() != "echo-vision is ready.\n":
            assert server.poll() is None
        health = httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
    assert health.status_code == 503
    assert "none-such" in health.text


async def test_engines_see_the_chosen_gpus(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("LLM_CUDA_VISIBLE_DEVICES", "1,GPU-5")
    seen = await environment_of_an_engine()
    assert seen["CUDA_VISIBLE_DEVICES"] == "1,GPU-5"
    assert seen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # as the driver numbers them


async def environment_of_an_engine() -> dict[str, str]:
    limits = Settings().pool().limits
    process = await EngineProcess.start(EngineSpec(ENGINES["echo"], "", limits))
    seen: dict[str, str] = {}
    try:
        while not seen:  # just after it has been started the system does not show it yet
            seen = psutil.Process(process.pid).environ()
    finally:
        await process.reap()
    return seen


async def test_no_chosen_gpus_are_all_of_them(bare: pytest.MonkeyPatch) -> None:
    """Docker hands each line of ``.env`` on, also the empty ones; CUDA takes empty for none."""
    bare.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in await environment_of_an_engine()


async def test_the_path_of_the_tool_server_s_model_is_that_of_both_defaults(
    bare: pytest.MonkeyPatch,
) -> None:
    bare.setenv("MODEL_PATH", str(MODELS / "starter-vision.gguf"))
    pool = ModelPool(Settings().pool())
    assert (await pool.find(None)).id == "starter-vision"
    found = await pool.find_vision()
    assert found
    assert found.id == "starter-vision"


async def test_the_default_chat_model_by_its_name(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("LOCAL_MODELS_DIR", str(MODELS))
    bare.setenv("MODEL_ALIASES", "mine=starter-hf")
    bare.setenv("DEFAULT_CHAT_MODEL", "mine")
    assert (await ModelPool(Settings().pool()).find(None)).id == "starter-hf"
    bare.setenv("SLLM_MODEL_PATH", str(STARTER))
    assert (await ModelPool(Settings().pool()).find(None)).id == "starter"


async def test_the_default_embedding_model_by_its_name(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("ENABLE_ECHO", "true")
    bare.setenv("LOCAL_MODELS_DIR", str(Path.cwd()))
    for named, found in (("echo-clip", "echo-clip"), ("Echo-Embed", "echo-embed")):
        bare.setenv("DEFAULT_EMBEDDING_MODEL", named)
        card = await ModelPool(Settings().pool()).find_encoder("embedding")
        assert card
        assert card.id == found


async def test_a_default_that_is_missing_is_not_replaced(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("LOCAL_MODELS_DIR", str(MODELS))
    bare.setenv("DEFAULT_CHAT_MODEL", "none-such")
    bare.setenv("DEFAULT_EMBEDDING_MODEL", "starter")
    pool = ModelPool(Settings().pool())
    pool.cards()
    assert list(pool.broken_defaults()) == ["none-such"]
    assert not pool.is_healthy()
    bare.setenv("SLLM_MODEL_PATH", str(STARTER))
    pool = ModelPool(Settings().pool())
    pool.cards()
    assert pool.is_healthy()


async def test_the_type_of_the_weights_counts_in_the_memory(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("LLM_MODELS_DIR", str(MODELS))
    (card,) = [card for card in ModelPool(Settings().pool()).cards() if card.id == "starter-hf"]
    assert _weights(card, bare, "float32") == 2 * _weights(card, bare, "float16")


def _weights(card: ModelCard, environment: pytest.MonkeyPatch, kind: str) -> int:
    environment.setenv("MODEL_DTYPE", kind)
    return format_of("pytorch").need(card, Settings().pool().limits).weights
