from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app import config
from app.config import InvalidSetting, Settings, read
from app.config.other_names import OTHER_NAMES
from app.provider.memory import GpuPolicy

EXAMPLE = Path(config.__file__).parents[2] / ".env.example"


def example() -> list[tuple[str, str, str]]:
    """(explanation, name, value) of every setting in the file."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return [
        (before, *line.split("=", 1))  # type: ignore[misc]
        for before, line in zip(["", *lines], lines, strict=False)
        if line and not line.startswith("#")
    ]


def test_the_example_has_every_setting() -> None:
    assert [name.lower() for _, name, _ in example()] == sorted(
        Settings.model_fields, key=[name.lower() for _, name, _ in example()].index
    )


def test_every_line_of_the_example_is_explained() -> None:
    for explanation, name, _ in example():
        assert explanation.startswith("# "), name
        assert len(explanation) > 15, name


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting in the environment, so that defaults are defaults."""
    for name in (*Settings.model_fields, *(other.name for other in OTHER_NAMES)):
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_example_shows_the_defaults(bare: pytest.MonkeyPatch) -> None:
    assert Settings(_env_file=EXAMPLE) == Settings(_env_file=None)


def test_lists_are_separated_by_commas(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("API_KEYS", " one, two ,,")
    assert Settings(_env_file=None).api_keys == ("one", "two")


def test_the_gpu_gets_layers_only_when_wanted(bare: pytest.MonkeyPatch) -> None:
    assert Settings(_env_file=None, gpu_layers=12).pool().gpu is None
    wanted = Settings(_env_file=None, use_gpu=True, llm_available_gpu_memory_gb=1.5)
    assert wanted.pool().gpu == GpuPolicy(available=3 * 2**29, threshold=0, layers=-1)
    split = Settings(_env_file=None, use_gpu=True, llm_gpu_memory_offload_threshold_gb=4)
    assert split.pool().gpu == GpuPolicy(available=0, threshold=2**32, layers=-1)
    bare.setenv("LLM_GPU_MEMORY_UTILIZATION", "0.8")
    bare.setenv("LLM_ENABLE_GPU_MEMORY_OFFLOAD", "false")
    whole = Settings(_env_file=None, use_gpu=True, cuda_visible_devices="1,0")
    assert whole.pool().gpu == GpuPolicy(share=0.8, split=False, devices="1,0")


def test_how_many_models_are_loaded_at_once(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("LLM_MODEL_CACHE_SIZE", "1")
    bare.setenv("LLM_AUTO_UNLOAD_MODELS", "false")
    pool = Settings(_env_file=None).pool()
    assert (pool.max_loaded, pool.auto_unload) == (1, False)


def test_aliases_name_a_model(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MODEL_ALIASES", "gpt-4o=starter, other=a=b")
    assert Settings(_env_file=None).pool().aliases == {"gpt-4o": "starter", "other": "a=b"}
    bare.setenv("MODEL_ALIASES", '{"gpt-4o": "starter", "claude-x": "a b"}')
    assert Settings(_env_file=None).pool().aliases == {"gpt-4o": "starter", "claude-x": "a b"}
    for wrong in ("{", "{}x"):
        bare.setenv("MODEL_ALIASES", wrong)
        with pytest.raises(ValidationError, match="nor a JSON object"):
            Settings(_env_file=None)
    bare.setenv("MODEL_ALIASES", "gpt-4o")
    with pytest.raises(ValidationError, match="is not alias=model"):
        Settings(_env_file=None)


def test_formats_of_tool_calls_are_named_by_model(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("TOOL_FORMATS", "my-model=hermes, a=b=glm")
    assert Settings(_env_file=None).pool().tool_formats == {"my-model": "hermes", "a=b": "glm"}
    for wrong in ("hermes", "my-model=", "my-model=unheard-of"):
        bare.setenv("TOOL_FORMATS", wrong)
        with pytest.raises(ValidationError, match="is not model=format; the formats are harmony"):
            Settings(_env_file=None)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None).port = 1  # type: ignore[misc]


def test_secrets_do_not_show() -> None:
    secrets: dict[str, Any] = {"hf_token": "hush", "modelscope_api_token": "hush"}
    settings = Settings(_env_file=None, api_keys=("hush",), **secrets)
    assert "hush" not in repr(settings)
    assert settings.hubs().tokens == {"huggingface": "hush", "modelscope": "hush"}
    assert "hush" not in repr(settings.hubs())


def test_a_token_that_no_header_can_carry_does_not_show_either(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("HUGGINGFACE_TOKEN", "hush\u00e9")
    with pytest.raises(InvalidSetting, match=r"^HUGGINGFACE_TOKEN: Value error, a token") as found:
        read()
    assert "hush" not in str(found.value)
    with pytest.raises(ValidationError) as raised:
        Settings(_env_file=None)
    assert "hush" not in str(raised.value)
