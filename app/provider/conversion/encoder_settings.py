"""Copies the settings of an encoder, so that its graphs are understood under any name.

What a folder leaves to the name of the model, such as its pooling or that a language model ranks,
is written down.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from app.provider.encoding.folders.folder import CONFIG
from app.provider.encoding.folders.modules import MODULES, POOLING_MODES
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.headers.files import optional_json

_WEIGHTS = ("*.safetensors", "*.bin", "*.onnx", "*.onnx_data", "*.gguf", "*.index.json")
_SMALL = ("*.json", "*.txt", "*.model", "*.jinja")
"""Files beside the weights that belong to the model."""

_MODULES = ("Transformer", "Pooling", "Normalize")


def copy_settings(settings: EncoderSettings, target: Path) -> None:
    """Copy all that belongs to the model but its weights; layers after the pooling have some."""
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _SMALL:
        for file in settings.root.glob(pattern):
            if not file.name.endswith(".index.json"):
                shutil.copyfile(file, target / file.name)
    for folder in _modules(settings):
        left_out = _WEIGHTS if folder == settings.folder else ()
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns(*left_out))
    _name_class(settings, target / settings.folder.relative_to(settings.root) / CONFIG)
    if settings.pooling and not (target / MODULES).exists():
        _write_pooling(settings, target)


def _modules(settings: EncoderSettings) -> list[Path]:
    """The folders of a sentence-transformers model, such as 1_Pooling."""
    folders = (path for path in settings.root.iterdir() if path.is_dir())
    return [path for path in folders if path.name[:1].isdigit() and "_" in path.name]


def _name_class(settings: EncoderSettings, path: Path) -> None:
    """Name the class of what the graph computes: no language model, but what was made of it."""
    config = optional_json(path)
    if not settings.architecture.endswith("ForCausalLM"):
        return
    base = settings.architecture.removesuffix("ForCausalLM")
    if settings.kind == "rerank":
        labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        config |= {"architectures": [f"{base}ForSequenceClassification"], **labels}
    else:
        config["architectures"] = [f"{base}Model"]
    write_json(path, config)


def _write_pooling(settings: EncoderSettings, target: Path) -> None:
    """Write the modules of sentence-transformers, and the prompts that go with the model."""
    assert settings.pooling is not None  # noqa: S101 — asked by the caller
    modes = {key: mode in settings.pooling.modes for key, mode in POOLING_MODES.items()}
    pooling = target / "1_Pooling"
    pooling.mkdir(exist_ok=True)
    write_json(pooling / CONFIG, {"word_embedding_dimension": settings.dimensions, **modes})
    names = _MODULES if settings.normalize else _MODULES[:2]
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{name}" if index else "",
            "type": f"sentence_transformers.models.{name}",
        }
        for index, name in enumerate(names)
    ]
    write_json(target / MODULES, modules)
    sentences = target / "config_sentence_transformers.json"
    if settings.prompts and not sentences.exists():
        default = settings.default_prompt or None
        stated = {"prompts": dict(settings.prompts), "default_prompt_name": default}
        write_json(sentences, stated)


def write_json(path: Path, content: Any) -> None:
    """Write a file as Hugging Face's libraries do."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
