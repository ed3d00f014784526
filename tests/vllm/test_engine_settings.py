"""Which engine serves a folder where settings have a say: MODEL_ENGINE and VLLM_COMMAND."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.config import Settings
from app.provider.card import ModelCard
from app.provider.catalogue.engine_settings import EngineSettings, with_engines
from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits
from app.provider.pool.smoke_test import failure
from app.provider.runtime.status import HostPolicy
from tests.provider.model_files import CONFIG, write_gguf, write_hf, write_mlx

PACKED: dict[str, Any] = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "pack-quantized"},
    "fp8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "gptq": {"quant_method": "gptq", "bits": 4},
}


def only(folder: Path, settings: EngineSettings) -> ModelCard:
    """The card of the one model beside which there is none."""
    (card,) = with_engines(scan(folder.parent), settings)
    return card


def settings(vllm: bool = False, **named: str) -> EngineSettings:
    return EngineSettings(named, vllm)


@pytest.mark.parametrize("method", sorted(PACKED))
def test_packed_weights_go_to_vllm_where_it_can_be_started(tmp_path: Path, method: str) -> None:
    folder = write_hf(tmp_path / "m", quantization_config=PACKED[method])
    card = only(folder, settings(vllm=True))
    assert (card.engine, card.format, card.problem) == ("vllm", "hf", None)


@pytest.mark.parametrize("method", sorted(PACKED))
def test_without_a_command_it_is_told_what_to_set(tmp_path: Path, method: str) -> None:
    folder = write_hf(tmp_path / "m", quantization_config=PACKED[method])
    problem = only(folder, settings()).problem or ""
    assert problem.startswith("Its weights are packed (" + method.upper())
    assert "VLLM_COMMAND" in problem


def test_other_weights_stay_where_they_are(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    without, with_vllm = only(folder, settings()), only(folder, settings(vllm=True))
    assert with_vllm == without
    assert without.engine != "vllm"


@pytest.mark.parametrize("name", ["m", "another"])
def test_a_model_is_served_by_the_engine_that_is_named(tmp_path: Path, name: str) -> None:
    folder = write_hf(tmp_path / "m")
    (tmp_path / "another").symlink_to(folder)
    card = only(folder, EngineSettings({name: "vllm"}, vllm=True))
    assert (card.engine, card.problem) == ("vllm", None)


def test_a_named_engine_without_a_command_is_a_problem(tmp_path: Path) -> None:
    problem = only(write_hf(tmp_path / "m"), settings(m="vllm")).problem or ""
    assert "MODEL_ENGINE" in problem
    assert "VLLM_COMMAND" in problem


def test_another_engine_can_be_named_again(tmp_path: Path) -> None:
    card = only(write_hf(tmp_path / "m"), settings(vllm=True, m="mlx"))
    assert card.engine == "mlx"
    packed = write_hf(tmp_path / "n" / "p", quantization_config=PACKED["awq"])
    card = only(packed, settings(vllm=True, p="pytorch"))
    assert (card.engine, card.problem) == (
        "pytorch",
        "Its weights are packed: take the original model.",
    )


def test_an_engine_that_cannot_read_the_files_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "g.gguf")
    write_mlx(tmp_path / "mlx-model")
    write_hf(tmp_path / "m")
    named = {"g": "vllm", "mlx-model": "vllm", "m": "gguf"}
    cards = with_engines(scan(tmp_path), EngineSettings(named, vllm=True))
    problems = {card.id: card.problem for card in cards}
    refused = "MODEL_ENGINE chooses {} for it, which cannot read its files: {} can."
    assert problems == {
        "g": refused.format("vllm", "gguf"),
        "mlx-model": refused.format("vllm", "mlx"),
        "m": refused.format("gguf", "mlx or pytorch or vllm"),
    }


def test_broken_files_stay_broken(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m", quantization_config=PACKED["awq"])
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model.safetensors"}}'
    )
    for chosen in (settings(), settings(vllm=True), settings(vllm=True, m="vllm")):
        assert "model.safetensors" in (only(folder, chosen).problem or "")


def test_vllm_needs_neither_our_tokenizer_nor_a_known_architecture(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m", CONFIG | {"model_type": "of_tomorrow"})
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    assert only(folder, settings(vllm=True)).problem
    assert only(folder, settings(vllm=True, m="vllm")).problem is None
    write_hf(folder, architectures=[])
    assert "architectures" in (only(folder, settings(vllm=True, m="vllm")).problem or "")


def test_a_model_with_a_part_for_images_takes_them_in_vllm(tmp_path: Path) -> None:
    names = ["SomeVLForConditionalGeneration"]
    config = {"architectures": names, "model_type": "some_vl", "text_config": CONFIG}
    folder = write_hf(tmp_path / "m", config, vision_config={"model_type": "vit"})
    card = only(folder, settings(vllm=True, m="vllm"))
    assert (card.kind, card.problem) == ("vision-chat", None)


def test_settings_name_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_ENGINE", "a=vllm, org/b=c=pytorch")
    monkeypatch.setenv("VLLM_COMMAND", "'/opt/a b/vllm' -x")
    chosen = Settings(_env_file=None).pool()
    assert chosen.engines == EngineSettings({"a": "vllm", "org/b=c": "pytorch"}, vllm=True)
    assert chosen.limits.vllm.command == ("/opt/a b/vllm", "-x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_VLLM_ARGS", "--enforce-eager --served_model_name=x"),
        ("LLM_VLLM_ARGS", "--uds /tmp/x"),
        ("LLM_VLLM_DTYPE", "int4"),
        ("LLM_VLLM_MAX_MODEL_LEN", "-2"),
        ("LLM_VLLM_TENSOR_PARALLEL_SIZE", "0"),
        ("MODEL_ENGINE", "a=nonsense"),
        ("MODEL_ENGINE", "vllm"),
        ("VLLM_COMMAND", "'open"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings(_env_file=None)


def test_the_files_of_a_newer_version_are_not_tried_in_vllm(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    chosen = settings(vllm=True, m="vllm")
    assert failure(folder, EngineLimits(), HostPolicy(), chosen) == ""
    (folder / "model.safetensors").unlink()
    assert failure(folder, EngineLimits(), HostPolicy(), chosen)
