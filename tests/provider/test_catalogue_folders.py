"""Models that are folders: Hugging Face, MLX, ONNX. Every file is real, made here or shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard, Shape
from app.provider.catalogue.scan import scan
from tests.provider.asking import STARTER
from tests.provider.model_files import (
    CONFIG,
    GENAI,
    message,
    write_gguf,
    write_hf,
    write_mlx,
    write_onnx,
    write_safetensors,
    write_starter,
)

TEMPLATE = "{{ messages }}"


def only(folder: Path) -> ModelCard:
    (card,) = scan(folder)
    return card


def problem(folder: Path) -> str:
    return only(folder).problem or ""


# ------------------------------------------------------------------ facts


def test_the_starter_is_the_same_model_in_every_format(tmp_path: Path) -> None:
    write_starter(tmp_path / "models" / "starter-hf")
    shutil.copy(STARTER, tmp_path / "models")
    gguf, hf = sorted(scan(tmp_path), key=lambda card: card.format)
    assert (hf.id, hf.format, hf.tasks) == ("starter-hf", "hf", ("chat",))
    assert gguf.parameters == hf.parameters == 1_723_328
    assert gguf.shape == hf.shape
    assert gguf.shape.kv_numbers == 4 * 2 * (32 + 32)
    assert gguf.context_length == hf.context_length == 4096
    assert gguf.chat_template == hf.chat_template
    assert "<|im_start|>" in hf.chat_template
    assert (gguf.quantization, hf.quantization) == ("F16", "F16")
    assert (gguf.architecture, hf.architecture) == ("qwen2", "qwen2")
    assert (gguf.problem, hf.problem) == (None, None)
    assert hf.size_bytes == (hf.path / "model.safetensors").stat().st_size


def test_packed_weights_of_mlx_are_counted_as_they_were(tmp_path: Path) -> None:
    write_mlx(tmp_path / "deep" / "quantised")
    card = only(tmp_path)
    assert (card.format, card.engine, card.quantization) == ("mlx", "mlx", "4-bit")
    assert card.parameters == 2 * 128 + 128 + 7
    assert card.problem is None


def test_mlx_marks_its_files_too(tmp_path: Path) -> None:
    tensors = {"embed.weight": ("BF16", (4, 4))}
    write_safetensors(write_hf(tmp_path / "m") / "model.safetensors", tensors, format="mlx")
    assert (only(tmp_path).format, only(tmp_path).quantization) == ("mlx", "BF16")


@pytest.mark.parametrize(
    ("packing", "tensors", "parameters", "quantization"),
    [
        (
            {"quant_method": "gptq", "bits": 4},
            {
                "l.qweight": ("I32", (8, 64)),
                "l.qzeros": ("I32", (1, 8)),
                "l.scales": ("F16", (1, 64)),
                "l.g_idx": ("I32", (64,)),
                "l.bias": ("F16", (64,)),
            },
            64 * 64 + 64,
            "GPTQ 4-bit",
        ),
        (
            {"quant_method": "fp8"},
            {"l.weight": ("U8", (8, 8)), "l.weight_scale_inv": ("F32", (1, 1))},
            64,
            "FP8",
        ),
    ],
)
def test_other_packings_are_understood(
    tmp_path: Path,
    packing: dict[str, Any],
    tensors: dict[str, tuple[str, tuple[int, ...]]],
    parameters: int,
    quantization: str,
) -> None:
    folder = write_hf(tmp_path / "m", quantization_config=packing)
    write_safetensors(folder / "model.safetensors", tensors)
    assert (only(tmp_path).parameters, only(tmp_path).quantization) == (parameters, quantization)


def test_an_onnx_folder_tells_the_same_facts(tmp_path: Path) -> None:
    write_onnx(tmp_path / "onnx" / "mine")
    card = only(tmp_path)
    assert (card.id, card.format, card.engine, card.tasks) == ("mine", "onnx", "onnx", ("chat",))
    assert (card.architecture, card.context_length, card.problem) == ("llama", 2048, None)
    assert (card.parameters, card.quantization) == (64 * 32 + 32, "4-bit")
    assert card.shape == Shape(2, 4, 2, 16, 16, 64, 100)
    sizes = [card.path.joinpath(name).stat().st_size for name in ("model.onnx", "model.onnx.data")]
    assert card.size_bytes == sum(sizes)


@pytest.mark.parametrize(
    ("changes", "tasks", "why"),
    [
        ({}, ("chat",), ""),
        ({"vision_config": {"a": 1}}, ("chat",), ""),
        (
            {"architectures": ["XForConditionalGeneration"], "text_config": CONFIG},
            ("chat",),
            "",
        ),
        ({"architectures": ["BertModel"]}, ("embedding",), "do not say how the vectors"),
        ({"architectures": ["BertForMaskedLM"]}, ("embedding",), "do not say how the vectors"),
        ({"architectures": ["T5ForConditionalGeneration"]}, (), "T5ForConditionalGeneration"),
        ({"architectures": ["XForSequenceClassification"]}, (), "sorts texts into classes (XFor"),
    ],
)
def test_what_a_model_is_for_is_read_from_its_config(
    tmp_path: Path, changes: dict[str, Any], tasks: tuple[str, ...], why: str
) -> None:
    write_hf(tmp_path / "m", **changes)
    card = only(tmp_path)
    assert (card.tasks, bool(card.problem)) == (tasks, bool(why))
    assert why in (card.problem or "")


def test_sentence_transformers_make_embeddings(tmp_path: Path) -> None:
    (write_hf(tmp_path / "m") / "modules.json").write_text("[]")
    assert (only(tmp_path).tasks, only(tmp_path).kind) == (("embedding",), "embedding")


def test_a_decoder_of_image_vectors_is_explained(tmp_path: Path) -> None:
    decoder = GENAI["model"]["decoder"] | {"inputs": {"inputs_embeds": "inputs_embeds"}}  # type: ignore[operator]
    write_onnx(tmp_path / "m", decoder=decoder, vision={"patch_size": 14})
    assert (only(tmp_path).tasks, only(tmp_path).vision) == (("chat",), None)
    assert "image part" in problem(tmp_path)


@pytest.mark.parametrize(
    ("scaling", "length"),
    [
        ({}, 2048),
        ({"rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 2048}}, 8192),
        ({"rope_parameters": {"factor": 8.0, "original_max_position_embeddings": 128}}, 2048),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 2048),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({"max_position_embeddings": "many"}, 0),
        ({"max_position_embeddings": True}, 0),
        ({"max_position_embeddings": -1}, 0),
        ({"max_position_embeddings": 2**70}, 0),
    ],
)
def test_the_context_is_as_long_as_the_config_says(
    tmp_path: Path, scaling: dict[str, Any], length: int
) -> None:
    write_hf(tmp_path / "m", **scaling)
    assert only(tmp_path).context_length == length


def test_layers_without_keys_and_values_take_no_room_for_them(tmp_path: Path) -> None:
    write_hf(tmp_path / "m", layer_types=["linear_attention", "full_attention"])
    assert only(tmp_path).shape.kv_numbers == 1 * 2 * (16 + 16)


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlanguage: ko\nlicense: apache-2.0\n---\n# A model", "apache-2.0"),
        ('---\r\nlicense: "mit"  # ours\r\n---\r\n', "mit"),
        ("---\nlicense:\n- cc-by-4.0\n- mit\n---\n", "cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: hyperclovax-seed\n---\n", "hyperclovax-seed"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlanguage: en\n---\nlicense: mit", ""),
        ("# A model\nlicense: mit", ""),
        ("", ""),
    ],
)
def test_a_licence_is_what_the_readme_states_and_never_a_guess(
    tmp_path: Path, readme: str, licence: str
) -> None:
    (write_hf(tmp_path / "m") / "README.md").write_bytes(readme.encode())
    assert only(tmp_path).licence == licence


def test_chat_templates_lie_in_several_places(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    tokenizer = folder / "tokenizer_config.json"
    assert only(tmp_path).chat_template == ""
    tokenizer.write_text(json.dumps({"chat_template": TEMPLATE}))
    assert only(tmp_path).chat_template == TEMPLATE
    named = [{"name": "tools", "template": "no"}, {"name": "default", "template": "default!"}]
    tokenizer.write_text(json.dumps({"chat_template": named}))
    assert only(tmp_path).chat_template == "default!"
    (folder / "chat_template.jinja").write_text("x" * 100_000)
    assert only(tmp_path).chat_template == "x" * 65536


# ------------------------------------------------------------------ whole or not


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.99])
def test_weights_that_are_cut_off_are_incomplete(tmp_path: Path, share: float) -> None:
    weights = write_starter(tmp_path / "m") / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(len(whole) * share)])
    assert (
        problem(tmp_path)
        == "The folder is incomplete: model.safetensors is cut off. Download or copy it again."
    )
    weights.write_bytes(whole)
    assert only(tmp_path).problem is None


def test_a_pointer_of_git_lfs_is_explained(tmp_path: Path) -> None:
    weights = write_hf(tmp_path / "m") / "model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99\n")
    assert "git lfs pull" in problem(tmp_path)


def test_the_index_says_which_files_there_must_be(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    parts = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    index = json.dumps({"weight_map": {"a": parts[0], "b": parts[1]}})
    (folder / "model.safetensors").rename(folder / parts[0])
    assert parts[1] in problem(tmp_path)  # by the name alone
    (folder / "model.safetensors.index.json").write_text(index[:40])
    assert "model.safetensors.index.json is damaged or cut off" in problem(tmp_path)
    (folder / "model.safetensors.index.json").write_text(index)
    assert f"{parts[1]} is missing" in problem(tmp_path)
    write_safetensors(folder / parts[1], {"b": ("F32", (5,))})
    assert only(tmp_path).problem is None
    assert only(tmp_path).parameters == 6400 + 5


def test_every_moment_of_a_copy_is_incomplete(tmp_path: Path) -> None:
    source, target = write_hf(tmp_path / "from" / "m"), tmp_path / "to" / "m"
    target.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        content = file.read_bytes()
        for share in (0, len(content) // 2, len(content)):
            (target / file.name).write_bytes(content[:share])
            cards = scan(target.parent)
            done = (file.name, share) == ("tokenizer.json", len(content))
            assert all((card.problem is None) == done for card in cards)
    assert only(target.parent).problem is None


def test_a_download_in_progress_is_incomplete(tmp_path: Path) -> None:
    weights = write_hf(tmp_path / "m") / "model.safetensors"
    weights.rename(weights.with_name("model.safetensors.crdownload"))
    assert (
        problem(tmp_path)
        == "The folder is incomplete: model.safetensors is missing. Download or copy it again."
    )


def test_pickled_weights_are_to_be_converted(tmp_path: Path) -> None:
    weights = write_hf(tmp_path / "m") / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    assert "convert them to safetensors" in problem(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["config.json", "tokenizer.json"],
        ["adapter_config.json", "adapter_model.safetensors"],
        ["config.json", "adapter_model.safetensors"],
        ["config.json", "optimizer.pt", "trainer_state.json"],
        ["model.safetensors"],
    ],
)
def test_folders_without_a_model_have_no_card(tmp_path: Path, names: list[str]) -> None:
    whole = write_hf(tmp_path / "whole")
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    for name in names:
        config = name.endswith(".json")
        shutil.copy(whole / ("config.json" if config else "model.safetensors"), folder / name)
    assert scan(tmp_path / "models") == []


def test_a_part_of_an_image_pipeline_has_no_card(tmp_path: Path) -> None:
    write_hf(tmp_path / "vae", {"_class_name": "AutoencoderKL"})
    assert scan(tmp_path) == []


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "genai_config.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_an_onnx_file_that_is_cut_off_is_incomplete(
    tmp_path: Path, name: str, share: float
) -> None:
    file = write_onnx(tmp_path / "m") / name
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert problem(tmp_path).startswith(f"The folder is incomplete: {name} is")
    file.write_bytes(whole)
    assert only(tmp_path).problem is None


def test_a_graph_without_what_follows_it_is_cut_off(tmp_path: Path) -> None:
    graph = write_onnx(tmp_path / "m") / "model.onnx"
    graph.write_bytes(graph.read_bytes().removesuffix(message((8, message((2, 21))))))
    assert "model.onnx is damaged or cut off" in problem(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json"])
def test_a_missing_onnx_file_is_named(tmp_path: Path, name: str) -> None:
    (write_onnx(tmp_path / "m") / name).unlink()
    lacking = "its tokenizer" if name == "tokenizer.json" else name
    assert (
        problem(tmp_path)
        == f"The folder is incomplete: {lacking} is missing. Download or copy it again."
    )


def test_an_onnx_folder_stays_in_its_folder(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m", decoder={"filename": "../../other/model.onnx"})
    assert problem(tmp_path) == "It names files outside its folder."


def test_weights_below_a_folder_of_the_model_are_seen_when_they_arrive(tmp_path: Path) -> None:
    decoder = GENAI["model"]["decoder"] | {"filename": "cpu/model.onnx"}  # type: ignore[operator]
    folder = write_onnx(tmp_path / "m", decoder=decoder)
    (folder / "cpu").mkdir()
    assert "cpu/model.onnx is missing" in problem(tmp_path)
    (folder / "model.onnx").rename(folder / "cpu" / "model.onnx")
    assert "cpu/model.onnx.data is missing" in problem(tmp_path)
    (folder / "model.onnx.data").rename(folder / "cpu" / "model.onnx.data")
    assert only(tmp_path).problem is None


def test_formats_share_a_folder(tmp_path: Path) -> None:
    write_gguf(write_hf(tmp_path / "both") / "quantised.gguf")
    assert [card.id for card in scan(tmp_path)] == ["both", "quantised"]
