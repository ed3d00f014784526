"""Encoders on the list of models: what their cards say, and why one cannot be loaded."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.provider.card import EncoderFacts, ModelCard
from app.provider.catalogue.scan import scan
from tests.encoders.checkpoints import FAMILIES, write_checkpoint
from tests.provider.asking import STARTER
from tests.provider.encoder_folders import (
    BERT,
    POOLED,
    modules,
    write_encoder,
    write_graph,
    write_json,
    write_tokenizer,
)
from tests.provider.model_files import write_safetensors
from tests.provider.test_catalogue_mutations import edit, fits_an_answer
from tests.selection import matrix

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"
CLIP: Mapping[str, Any] = {
    "model_type": "clip",
    "architectures": ["CLIPModel"],
    "projection_dim": 32,
    "text_config": {"max_position_embeddings": 77},
    "vision_config": {"hidden_size": 64},
}
PIXELS = {"preprocessor_config.json": {"image_processor_type": "CLIPImageProcessor"}}


def only(folder: Path) -> ModelCard:
    (card,) = scan(folder)
    return card


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelCard]:
    """The cards of all families in the layout of the Hub."""
    folder = tmp_path_factory.mktemp("models")
    for name in FAMILIES:
        write_checkpoint(name, folder / name)
    return {card.id: card for card in scan(folder)}


def without(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)


def other_layer(folder: Path) -> None:
    write_safetensors(folder / "model.safetensors", {"linear.weight": ("F32", (3, 3))})


# -------------------------------------------------------------- safetensors


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_listed_as_what_it_is(families: dict[str, ModelCard], name: str) -> None:
    card = families[name]
    assert (card.kind, card.format, card.engine) == (FAMILIES[name].kind, "hf", "pytorch")
    assert card.encoder is not None
    assert card.encoder.dimensions in {1, 32, 64, 384}
    assert (card.vision, card.chat_template) == (None, "")
    assert card.parameters > 0


def test_the_facts_of_an_encoder_are_those_of_its_files(families: dict[str, ModelCard]) -> None:
    gemma = families["embeddinggemma"]
    assert gemma.encoder is not None
    stated = FAMILIES["embeddinggemma"].files["sentence_bert_config.json"]["max_seq_length"]
    assert (gemma.encoder.pooling, gemma.context_length) == ("mean", stated)
    assert dict(gemma.encoder.prompts)["query"] == "task: search result | query: "
    assert families["xlmr-mean"].encoder == EncoderFacts(
        64, "mean", (("query", "query: "), ("document", "passage: ")), "document"
    )
    assert families["bert-cross-encoder"].encoder == EncoderFacts(dimensions=1)
    assert families["dinov3"].tasks == ("vision",)


def test_the_scale_of_matches_is_read_from_the_weights(families: dict[str, ModelCard]) -> None:
    clip, siglip = families["clip"].encoder, families["siglip"].encoder
    assert clip is not None
    assert siglip is not None
    assert (clip.pairing, clip.bias, siglip.pairing) == ("softmax", 0, "sigmoid")
    assert [clip.scale, siglip.scale] == pytest.approx([np.exp(2.3)] * 2)
    assert siglip.bias == pytest.approx(-1.5)


@pytest.mark.parametrize("kind", ["<f8", "<f4", "<f2", "bfloat16"])
def test_a_scale_of_any_precision_is_read(tmp_path: Path, kind: str) -> None:
    folder = write_checkpoint("clip", tmp_path / "m")
    number = np.array(1.5, "<f4" if kind == "bfloat16" else kind).tobytes()
    number = number[2:] if kind == "bfloat16" else number
    name = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "bfloat16": "BF16"}[kind]
    header = json.dumps(
        {"logit_scale": {"dtype": name, "shape": [], "data_offsets": [0, len(number)]}}
    ).encode()
    content = len(header).to_bytes(8, "little") + header + number
    (folder / "model.safetensors").write_bytes(content)
    encoder = only(tmp_path).encoder
    assert encoder is not None
    assert encoder.scale == pytest.approx(np.exp(1.5))


def test_the_list_of_encoders_needs_no_library(families: dict[str, ModelCard]) -> None:
    folder = next(iter(families.values())).found_in
    program = (
        "import sys; from pathlib import Path; from app.provider.catalogue.scan import scan\n"
        f"assert len(scan(Path({str(folder)!r}))) == {len(families)}\n"
        "print(*{'numpy', 'tokenizers', 'torch', 'onnxruntime', 'PIL'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_without_pytorch_the_card_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch", "transformers")
    write_checkpoint("bert-mean", tmp_path / "m")
    assert "It needs PyTorch, which is not installed: run ./run.sh install pytorch" in str(
        only(tmp_path).problem
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f: (f / "modules.json").unlink(), "do not say how the vectors of its tokens"),
        (lambda f: (f / "1_Pooling" / "config.json").unlink(), "1_Pooling/config.json is missing"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer is missing"),
        (lambda f: (f / "model.safetensors").write_bytes(POINTER), "git lfs pull"),
        (lambda f: (f / "tokenizer.json").write_bytes(POINTER), "git lfs pull"),
        (lambda f: (f / "1_Pooling" / "config.json").write_bytes(POINTER), "git lfs pull"),
        (lambda f: (f / "2_Dense" / "model.safetensors").write_bytes(POINTER), "git lfs pull"),
        (lambda f: other_layer(f / "2_Dense"), "another size than 2_Dense/config.json states"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled"),
        (lambda f: (f / "model.safetensors").write_bytes(bytes(99)), "only zeros"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(tmp_path: Path, spoil: Any, why: str) -> None:
    spoil(write_checkpoint("embeddinggemma", tmp_path / "m"))
    card = only(tmp_path)
    assert why in (card.problem or "")
    assert (card.kind, card.encoder is not None) == ("embedding", True)


def test_what_mlx_wrote_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("bert-mean", tmp_path / "m")
    tensors = {"embeddings.weight": ("F16", (4, 64))}
    write_safetensors(folder / "model.safetensors", tensors, format="mlx")
    assert "MLX wrote its weights" in (only(tmp_path).problem or "")


def test_the_folder_of_the_transformer_is_no_model_of_its_own(tmp_path: Path) -> None:
    inner = write_checkpoint("bert-mean", tmp_path / "old" / "0_Transformer")
    listed = modules(["Transformer", "Pooling"])
    listed[0]["path"] = inner.name
    write_json(tmp_path / "old" / "modules.json", listed)
    (inner / "1_Pooling").rename(tmp_path / "old" / "1_Pooling")
    (inner / "modules.json").unlink()
    card = only(tmp_path)
    assert (card.id, card.path.name, card.encoder is not None) == ("old", "old", True)
    assert card.size_bytes > 100_000


def test_a_clone_is_a_model_and_its_git_folder_is_none(tmp_path: Path) -> None:
    folder = write_checkpoint("bert-mean", tmp_path / "m")
    write_checkpoint("bert-mean", folder / ".git" / "lfs" / "x")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    assert only(tmp_path).id == "m"


# --------------------------------------------------------------------- ONNX


@pytest.mark.parametrize(
    "place",
    ["onnx/model.onnx", "model.onnx", "model_optimized.onnx", "onnx/model_O2.onnx"],
)
def test_a_graph_is_found_where_others_put_it(tmp_path: Path, place: str) -> None:
    write_graph(write_encoder(tmp_path / "m", files=POOLED) / place)
    card = only(tmp_path)
    assert (card.format, card.engine, card.kind) == ("onnx", "onnx", "embedding")
    assert (card.problem, card.quantization, card.context_length) == (None, "F32", 64)
    assert card.encoder == EncoderFacts(32, "mean")
    assert (card.parameters, card.size_bytes) == (1024, (card.path / place).stat().st_size)


def test_of_several_variants_the_first_whole_one_counts(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    write_graph(folder / "onnx" / "model_quantized.onnx", kind=np.int8)
    assert only(tmp_path).quantization == "8-bit"
    write_graph(folder / "onnx" / "model.onnx")
    card = only(tmp_path)
    assert (card.quantization, card.size_bytes) == (
        "F32",
        (folder / "onnx" / "model.onnx").stat().st_size,
    )


@pytest.mark.parametrize(
    ("reads", "why"),
    [
        (("input_ids", "task_id"), "wants the input task_id"),
        (("input_ids", "attention_mask", "token_type_ids", "position_ids"), None),
        (("input_ids", "past_key_values.0.key"), None),
    ],
)
def test_a_graph_that_wants_what_nobody_knows_is_refused(
    tmp_path: Path, reads: tuple[str, ...], why: str | None
) -> None:
    write_graph(write_encoder(tmp_path / "m", files=POOLED) / "onnx" / "model.onnx", reads)
    problem = only(tmp_path).problem
    assert problem is None if why is None else why in str(problem)


def test_a_graph_that_gives_no_vectors_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    write_graph(folder / "onnx" / "model.onnx", gives=("logits",))
    assert "gives no vectors, but only logits" in (only(tmp_path).problem or "")


def test_a_reranker_that_writes_is_refused_as_onnx(tmp_path: Path) -> None:
    config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
    folder = write_encoder(tmp_path / "Qwen3-Reranker-0.6B-ONNX", config)
    write_graph(folder / "onnx" / "model.onnx", gives=("logits",))
    card = only(tmp_path)
    assert (card.kind, "take its GGUF file" in (card.problem or "")) == ("rerank", True)


def test_of_a_clone_that_fetched_one_variant_that_one_counts(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    write_graph(folder / "onnx" / "model_int8.onnx", kind=np.int8)
    (folder / "onnx" / "model.onnx").write_bytes(POINTER)
    assert (only(tmp_path).problem, only(tmp_path).quantization) == (None, "8-bit")


def test_weights_beside_a_graph_have_to_be_there(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(POINTER)
    assert "git lfs pull" in (only(tmp_path).problem or "")


def test_without_a_pooling_or_a_config_a_graph_says_nothing(tmp_path: Path) -> None:
    write_graph(write_encoder(tmp_path / "m") / "onnx" / "model.onnx")
    assert "do not say how the vectors of its tokens" in (only(tmp_path).problem or "")
    (tmp_path / "m" / "config.json").unlink()
    assert "no config.json" in (only(tmp_path).problem or "")


def test_a_graph_needs_a_tokenizer(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    write_graph(folder / "onnx" / "model.onnx")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("a")
    assert "It has vocab.txt but no tokenizer.json" in (only(tmp_path).problem or "")


def test_graphs_of_texts_and_images_belong_together(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", CLIP, PIXELS)
    write_graph(folder / "onnx" / "text_model.onnx", ("input_ids",), ("text_embeds",))
    assert "no graph for images" in (only(tmp_path).problem or "")
    write_graph(folder / "onnx" / "vision_model.onnx", ("pixel_values",), ("image_embeds",))
    card = only(tmp_path)
    assert (card.problem, card.kind, card.tasks) == (None, "multimodal", ("multimodal", "vision"))
    assert card.encoder == EncoderFacts(32, pairing="softmax")  # nothing states its scale


def test_the_scale_of_matches_is_found_in_a_joint_graph_a_config_or_a_name(tmp_path: Path) -> None:
    def scale(folder: Path) -> float:
        write_graph(folder / "text_model.onnx", ("input_ids",), ("text_embeds",))
        write_graph(folder / "vision_model.onnx", ("pixel_values",), ("image_embeds",))
        (card,) = (card for card in scan(tmp_path) if card.path == folder)
        assert card.encoder is not None
        return card.encoder.scale

    joint = write_encoder(tmp_path / "joint", CLIP, PIXELS)
    write_graph(
        joint / "model.onnx", ("input_ids", "pixel_values"), ("logits",), {"logit_scale": 3.0}
    )
    assert scale(joint) == pytest.approx(np.exp(3.0))
    stated = write_encoder(tmp_path / "stated", {**CLIP, "logit_scale": 2.0}, PIXELS)
    assert scale(stated) == pytest.approx(np.exp(2.0))
    assert scale(write_encoder(tmp_path / "clip-vit-base-patch32", CLIP, PIXELS)) == 100
    odd = write_encoder(tmp_path / "odd", {**CLIP, "logit_scale": 1e300}, PIXELS)
    assert scale(odd) == 0


@pytest.mark.parametrize(
    ("kind", "installed", "engine"),
    [
        (np.float32, True, "onnx"),
        (np.float32, False, "onnx"),
        (np.int8, True, "pytorch"),
        (np.int8, False, "onnx"),
    ],
)
def test_graphs_beside_the_original_weights_are_taken_where_they_are_as_good(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[np.generic],
    installed: bool,
    engine: str,
) -> None:
    if not installed:
        without(monkeypatch, "torch", "transformers")
    folder = write_checkpoint("bert-mean", tmp_path / "m")
    write_graph(folder / "onnx" / "model.onnx", kind=kind)
    assert only(tmp_path).engine == engine
    (folder / "onnx" / "model.onnx").write_bytes(POINTER)
    assert only(tmp_path).engine == "pytorch"


def test_a_graph_of_as_few_bits_as_the_original_weights_is_taken(tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to(STARTER.parent / "starter-embed")
    assert (only(tmp_path).engine, only(tmp_path).quantization) == ("onnx", "F16")


def test_a_graph_serves_where_the_original_weights_are_pickled(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "m", files=POOLED)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    assert "pickled" in (only(tmp_path).problem or "")
    write_graph(folder / "onnx" / "model.onnx", kind=np.int8)
    assert (only(tmp_path).engine, only(tmp_path).problem) == ("onnx", None)


def test_a_chat_export_of_transformers_js_is_listed_with_its_problem(tmp_path: Path) -> None:
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    write_graph(write_encoder(tmp_path / "m", config) / "onnx" / "model_q4.onnx")
    card = only(tmp_path)
    assert card.kind == "chat"
    assert "without genai_config.json" in (card.problem or "")


# ------------------------------------------------------------------ hostile


def test_no_file_of_an_encoder_can_block_the_list(tmp_path: Path) -> None:
    for name in ("modules.json", "1_P/config.json", "preprocessor_config.json", "README.md"):
        folder = write_checkpoint("bert-mean", tmp_path / name.replace("/", "-"))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    large = write_checkpoint("bert-mean", tmp_path / "large")
    (large / "modules.json").write_bytes(b"[" + b"[]," * 5_000_000 + b"[]]")
    deep = write_checkpoint("bert-mean", tmp_path / "deep")
    (deep / "modules.json").write_bytes(b"[" * 100_000)
    cards = {card.id: card for card in scan(tmp_path)}
    assert len(cards) == 6
    assert cards["large"].problem
    assert cards["deep"].problem


def test_a_link_out_of_the_folder_is_only_read_as_json(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "config.json").write_text("root:x:0:0")
    folder = write_checkpoint("bert-mean", tmp_path / "models" / "m")
    (folder / "1_Pooling" / "config.json").unlink()
    (folder / "1_Pooling").rmdir()
    (folder / "1_Pooling").symlink_to(outside)
    assert "root" not in (only(tmp_path / "models").problem or "")
    assert only(tmp_path / "models").problem


def test_a_tokenizer_alone_is_no_model(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "m")
    assert scan(tmp_path) == []
    write_json(tmp_path / "m" / "config.json", BERT)
    assert scan(tmp_path) == []


@pytest.mark.parametrize("rounds", [50, *matrix(2000)])
def test_no_value_in_a_file_of_an_encoder_leaves_the_catalogue(tmp_path: Path, rounds: int) -> None:
    folders = [
        write_checkpoint(name, tmp_path / name) for name in ("embeddinggemma", "siglip", "dinov3")
    ]
    folders.append(write_encoder(tmp_path / "onnx", files=POOLED))
    write_graph(folders[-1] / "onnx" / "model.onnx")
    files = [
        path for one in folders for path in one.rglob("*.json") if path.name != "tokenizer.json"
    ]
    chance, problems = random.Random(16), set()
    for _ in range(rounds):
        path = chance.choice(files)
        whole = path.read_text()
        path.write_text(json.dumps(edit(json.loads(whole), chance)))
        cards = scan(tmp_path)
        path.write_text(whole)
        assert len({card.path.name for card in cards}) >= len(folders) - 1
        problems |= {card.problem for card in cards if card.problem}
        for card in cards:
            fits_an_answer(card)
    assert not [one for one in problems if "did not expect" in one]
    assert len(problems) > 5


def test_a_transformer_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    folder = write_checkpoint("bert-mean", tmp_path / "m")
    listed = modules(["Transformer", "Pooling"])
    listed[0]["path"] = "0_Transformer"
    write_json(folder / "modules.json", listed)
    assert "config.json is missing" in (only(tmp_path).problem or "")
