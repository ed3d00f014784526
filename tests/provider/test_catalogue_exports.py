"""ONNX folders without genai_config.json: on the list, with the reason why none is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.provider.catalogue.scan import scan


def write(folder: Path, *architectures: str, files: tuple[str, ...] = ("model.onnx",)) -> None:
    folder.mkdir()
    config = {"model_type": "some", "architectures": list(architectures)}
    (folder / "config.json").write_text(json.dumps(config))
    for name in files:
        (folder / name).write_bytes(bytes(8))


@pytest.mark.parametrize(
    ("architecture", "kind", "problem"),
    [
        ("LlamaForCausalLM", "chat", "without genai_config.json"),
        ("BertModel", "chat", "the architecture BertModel"),
        ("BertForSequenceClassification", "chat", "sorts texts into classes"),
    ],
)
def test_an_export_says_what_it_is(
    tmp_path: Path, architecture: str, kind: str, problem: str
) -> None:
    write(tmp_path / "m", architecture, files=("decoder_model_merged.onnx", "model_int8.onnx"))
    (card,) = scan(tmp_path)
    assert (card.format, card.kind, card.size_bytes) == ("onnx", kind, 16)
    assert problem in (card.problem or "")


def test_folders_that_are_no_export(tmp_path: Path) -> None:
    write(tmp_path / "no-graph", "BertModel", files=("vocab.txt",))
    write(tmp_path / "no-config", "BertModel")
    (tmp_path / "no-config" / "config.json").unlink()
    write(tmp_path / "both", "BertModel", files=("model.onnx", "model.safetensors"))
    assert [card.id for card in scan(tmp_path) if card.format == "onnx"] == []
