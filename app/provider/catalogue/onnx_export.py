"""Describes folders of an ONNX export without the settings that onnxruntime-genai reads.

Optimum, sentence-transformers and transformers.js write such folders. Those of encoders are
served; of those that chat, the card says what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.provider.card import ModelCard
from app.provider.catalogue import huggingface
from app.provider.catalogue.engine_choice import no_engine
from app.provider.catalogue.folder import licence
from app.provider.catalogue.onnx_encoder import describe_encoder, is_float32
from app.provider.encoding.folders.graphs import FOLDERS, SUFFIX
from app.provider.headers.fields import number, text, texts
from app.provider.headers.files import optional_json, sizes

_SETTINGS = ("genai_config.json", "config.json")
_NOT_GENAI = (
    "It is an ONNX export without genai_config.json, which onnxruntime-genai needs: take a build "
    "for onnxruntime-genai, or convert the model's safetensors folder with ./run.sh convert."
)
_NO_CONFIG = (
    "It has ONNX graphs and a tokenizer but no config.json, which says what the model is: take "
    "config.json from the model's page."
)


def describe(path: Path) -> ModelCard | None:
    """The card of a folder of config.json and graphs; None for any other. Raises OSError."""
    files = sizes(path)
    graphs = _graphs(path)
    if not graphs or _SETTINGS[0] in files:
        return None
    if _SETTINGS[1] not in files:
        return _bare(path, graphs, {}, _NO_CONFIG) if "tokenizer.json" in files else None
    config = optional_json(path / _SETTINGS[1])
    originals = any(name.endswith((".safetensors", ".bin")) for name in files)
    if card := describe_encoder(path, config):
        return card if not originals or _suits_better(card, path) else None
    return None if originals else _bare(path, graphs, config, _problem(config))


def _graphs(path: Path) -> dict[str, int]:
    """The sizes of all graphs. Raises OSError where the folder cannot be read."""
    found: dict[str, int] = {}
    for name in FOLDERS:
        if not name or (path / name).is_dir():
            listed = sizes(path / name)
            found |= {f"{name}/{file}": size for file, size in listed.items()}
    return {name: size for name, size in found.items() if name.endswith(SUFFIX)}


def _suits_better(card: ModelCard, path: Path) -> bool:
    """Whether the graphs are taken although the original weights lie beside them.

    onnxruntime is the faster one on a CPU. Weights of fewer bits than the original ones give other
    vectors, and are taken only where nothing runs these.
    """
    if card.problem or is_float32(card):
        return card.problem is None
    original = huggingface.describe(path)
    if original is None or original.problem:
        return True
    return card.quantization == original.quantization


def _bare(path: Path, graphs: dict[str, int], config: dict[str, Any], problem: str) -> ModelCard:
    """The card of a folder that cannot be loaded."""
    return ModelCard(
        id=path.name,
        format="onnx",
        engine="onnx",
        path=path,
        size_bytes=sum(graphs.values()),
        context_length=number(config, "max_position_embeddings"),
        architecture=text(config, "model_type"),
        licence=licence(path),
        problem=problem,
    )


def _problem(config: dict[str, Any]) -> str:
    """Why a model that is no encoder cannot be loaded."""
    names = texts(config, "architectures")
    if not names or any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        return _NOT_GENAI
    return no_engine(names[0])
