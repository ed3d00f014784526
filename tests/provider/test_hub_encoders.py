"""What is pulled of encoders: a variant of an ONNX export, or safetensors, with all modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from app.provider.catalogue.scan import card_at
from app.provider.hub.errors import NotOnHub
from app.provider.hub.plan import HubFile, Listing, Plan
from app.provider.hub.recommended import RECOMMENDED
from app.provider.hub.select import choose
from tests.encoders.checkpoints import FAMILIES, write_checkpoint
from tests.provider.asking import STARTER
from tests.provider.encoder_folders import write_graph
from tests.provider.hub_server import REPO, Hub, serving
from tests.provider.pulling import pull

SETTINGS = ("config.json", "tokenizer.json", "special_tokens_map.json", "README.md")
SENTENCES = (
    *SETTINGS,
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
EXPORTS = (
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "onnx/model_O4.onnx",
    "onnx/model_qint8_avx512_vnni.onnx",
    "onnx/config.json",
    "onnx/tokenizer.json",
)
OTHERS = ("model.safetensors", "pytorch_model.bin", "openvino/openvino_model.bin", "evil.py")
E5 = (*SENTENCES, *EXPORTS, *OTHERS)
"""As the repositories of sentence-transformers and of E5 are."""

DENSE = (*SENTENCES, "model.safetensors", "2_Dense/config.json", "2_Dense/model.safetensors")
PREPROCESSOR = (*SETTINGS, "preprocessor_config.json")
HALVES = ("onnx/text_model.onnx", "onnx/vision_model.onnx")
CLIP = (
    *PREPROCESSOR,
    *HALVES,
    "onnx/model.onnx",
    "onnx/model_int8.onnx",
    "onnx/text_model_int8.onnx",
    "onnx/vision_model_int8.onnx",
)
"""As transformers.js writes it."""

DINO = (*PREPROCESSOR, "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_q4.onnx")


def listing(*paths: str) -> Listing:
    files = tuple(HubFile(path, 1, "", "", "main") for path in paths)
    return Listing("huggingface", "someone/a-model", "main", "mit", files)


def brought(plan: Plan) -> set[str]:
    return {plan.within(file) for file in plan.files}


@pytest.mark.parametrize(
    ("files", "wanted", "name", "expected"),
    [
        pytest.param(
            E5, "", "a-model", {*SENTENCES, "onnx/model.onnx", "onnx/model.onnx_data"}, id="plain"
        ),
        pytest.param(E5, ".", "a-model", {*SENTENCES, "model.safetensors"}, id="safetensors"),
        pytest.param(E5, "O4", "a-model-O4", {*SENTENCES, "onnx/model_O4.onnx"}, id="a variant"),
        pytest.param(DENSE, "", "a-model", {*DENSE}, id="a layer after the pooling"),
        pytest.param(
            (*DENSE, "onnx/model.onnx"),
            "",
            "a-model",
            {*DENSE, "onnx/model.onnx"} - {"model.safetensors"},
            id="an export without the layer that follows",
        ),
        pytest.param(CLIP, "", "a-model", {*PREPROCESSOR, *HALVES}, id="two halves"),
        pytest.param(
            CLIP,
            "onnx/vision_model_int8.onnx",
            "a-model-int8",
            {*PREPROCESSOR, "onnx/text_model_int8.onnx", "onnx/vision_model_int8.onnx"},
            id="two small halves",
        ),
        pytest.param(
            DINO,
            "",
            "a-model",
            {*PREPROCESSOR, "onnx/model.onnx", "onnx/model.onnx_data"},
            id="pictures",
        ),
        pytest.param(
            (*SETTINGS, "model.onnx"), "", "a-model", {*SETTINGS, "model.onnx"}, id="beside it"
        ),
        pytest.param(
            tuple(f"onnx/{path}" for path in (*SETTINGS, "model.onnx")),
            "",
            "a-model-onnx",
            {*SETTINGS, "model.onnx"},
            id="all in one folder below",
        ),
    ],
)
def test_what_a_model_consists_of(
    files: tuple[str, ...], wanted: str, name: str, expected: set[str]
) -> None:
    plan = choose(listing(*files), wanted)
    assert (plan.name, brought(plan)) == (name, expected)


def test_variants_are_named_where_several_fit() -> None:
    with pytest.raises(NotOnHub) as refused:
        choose(listing(*E5), "model_")
    assert [line.split()[0] for line in str(refused.value).splitlines()[1:]] == [
        "someone/a-model:.",
        "someone/a-model:onnx/model.onnx",
        "someone/a-model:onnx/model_O4.onnx",
        "someone/a-model:onnx/model_qint8_avx512_vnni.onnx",
    ]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(("onnx/model.onnx", "tokenizer.json"), id="nothing says what it is"),
        pytest.param(
            (*SETTINGS, "generation_config.json", "onnx/model.onnx"), id="a chat model's export"
        ),
        pytest.param((*SETTINGS, "onnx/decoder_model_merged.onnx"), id="half of a chat model"),
        pytest.param((*SETTINGS, "onnx/text_model.onnx"), id="half of a model"),
    ],
)
def test_other_exports_are_not_taken(files: tuple[str, ...]) -> None:
    with pytest.raises(NotOnHub, match="has no GGUF file"):
        choose(listing(*files), "")


@pytest.mark.parametrize(
    ("name", "files"),
    [("multilingual-e5-small", E5), ("clip-vit-base-patch32", CLIP), ("dinov3-vits16", DINO)],
)
def test_recommended_exports_are_the_plain_ones(name: str, files: tuple[str, ...]) -> None:
    (model,) = [one for one in RECOMMENDED if one.name == name]
    assert choose(listing(*files), model.file) == choose(listing(*files), "")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pulled_folder_is_whole(family: str, tmp_path: Path) -> None:
    """What is left out of a repository in the layout of the Hub is only what is not needed."""
    folder = write_checkpoint(family, tmp_path / "a-model")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    plan = choose(listing(*names, "evil.py", "pytorch_model.bin", ".gitattributes"), "")
    assert (plan.name, brought(plan)) == ("a-model", set(names))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = write_checkpoint("embeddinggemma", tmp_path / "theirs")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    with serving(Hub(files | {"evil.py": b"import os"})) as running:
        yield running


def test_the_catalogue_knows_what_was_pulled(hub: Hub, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    card, original = card_at(pull(hub, models)), card_at(tmp_path / "theirs")
    assert card
    assert original
    assert card.kind == original.kind == "embedding"
    assert (card.problem, card.encoder) == (original.problem, original.encoder)
    assert not list(models.rglob("*.py"))


def test_a_pulled_export_runs_without_pytorch(hub: Hub, tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx")
    hub.files["onnx/model.onnx"] = (tmp_path / "model.onnx").read_bytes()
    card = card_at(pull(hub, tmp_path))
    assert card
    assert (card.kind, card.engine, card.problem) == ("embedding", "onnx", None)


def shown(hub: Hub, models: Path, *arguments: str) -> str:
    """What the command ``pull`` prints."""
    given = {"HF_ENDPOINT": hub.endpoint, "MODELS_DIR": str(models)}
    return CliRunner().invoke(app, ["pull", *arguments], env=given).output


def test_the_list_has_licences_sizes_and_what_is_gated(hub: Hub, tmp_path: Path) -> None:
    listed = shown(hub, tmp_path).splitlines()
    (line,) = [line for line in listed if line.startswith("hyperclovax-vision-3b ")]
    assert "14.9 GB" in line
    assert "HyperCLOVA X SEED Model License" in line
    assert "gated, needs HF_TOKEN" in line
    hub.refusal = (401, "GatedRepo")
    repo = "naver-hyperclovax/HyperCLOVAX-SEED-Vision-Instruct-3B"
    assert shown(hub, tmp_path, "hyperclovax-vision-3b") == (
        f"{repo} is gated: accept its terms at {hub.endpoint}/{repo}, then set HF_TOKEN.\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            STARTER.read_bytes(),
            r"is ready\. Ask for .*\n  SLLM_MODEL_PATH='.*/my\.gguf' \./run\.sh",
        ),
        (b"GGUF or not", r"/my\.gguf has arrived\. \w+"),
    ],
    ids=["usable", "broken"],
)
def test_what_to_do_with_a_model_is_said(
    hub: Hub, tmp_path: Path, content: bytes, expected: str
) -> None:
    hub.files = {"my.gguf": content}
    (tmp_path / "models").mkdir()
    output = shown(hub, tmp_path / "models", REPO)
    assert re.search(expected, output), output
