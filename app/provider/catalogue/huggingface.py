"""Describes folders of config.json and safetensors, as Hugging Face and MLX write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import filter as matching
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Shape, Task, Vision
from app.provider.catalogue.engine_choice import NO_ENGINE, engine_for, folder_engines, refusal
from app.provider.catalogue.folder import chat_template, incomplete, licence, tokenizer_problem
from app.provider.catalogue.parts import missing
from app.provider.headers.budget import once
from app.provider.headers.fields import number, section, text, texts, unicode
from app.provider.headers.files import dead_links, fault, read_json, sizes, unfinished, why_missing
from app.provider.headers.safetensors import (
    IncompleteFileError,
    Weights,
    main_type,
    parameters,
    read_weights,
)

CONFIG = "config.json"
_WEIGHTS = "model*.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLED = "pytorch_model*.bin"
_TEXT_PARTS = ("text_config", "llm_config", "language_config")
_ATTENTION_FREE = {"linear_attention", "mamba", "conv", "recurrent"}
_DECODERS = ("ForCausalLM", "LMHeadModel")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's files by name with their sizes, and those of them that hold weights."""

    path: Path
    files: Mapping[str, int]
    weights: list[str]
    dead: list[str]

    @classmethod
    def at(cls, path: Path) -> Folder:
        """List a folder. Raises OSError."""
        files = sizes(path)
        weights = sorted(name for name in files if fnmatchcase(name, _WEIGHTS))
        return cls(path, files, weights, dead_links(path))

    def has(self, pattern: str) -> bool:
        """Whether the name of a file or of a dead link matches ``pattern``."""
        return any(fnmatchcase(name, pattern) for name in (*self.files, *self.dead))

    def has_model(self) -> bool:
        """Whether weights are there or still arriving; an adapter is no model."""
        arriving = any(unfinished(name) and ".safetensors" in name for name in self.files)
        return arriving or any(self.has(name) for name in (_WEIGHTS, _INDEX, _PICKLED))


def describe(path: Path) -> ModelCard | None:
    """The card of a folder; None for any other folder. Raises OSError and TooExpensive.

    Two engines ask for it; ``once`` lets a scan read the folder only once.
    """
    return once(path, lambda: _described(path))


def _described(path: Path) -> ModelCard | None:
    folder = Folder.at(path)
    if not folder.has(CONFIG) or not folder.has_model():
        return None
    if CONFIG in folder.dead:
        return _card(folder, {}, Weights(), incomplete(f"{CONFIG} {why_missing(path / CONFIG)}"))
    try:
        config = read_json(path / CONFIG)
    except ValueError:
        return _card(folder, {}, Weights(), incomplete(f"{CONFIG} {fault(path / CONFIG)}"))
    if not text(config, "model_type") and not texts(config, "architectures"):
        return None  # a part of a pipeline that makes images
    try:
        weights = read_weights(path / name for name in folder.weights)
    except IncompleteFileError as error:
        return _card(folder, config, Weights(), incomplete(str(error)))
    return _card(folder, config, weights, _problem(folder, config, weights))


def _problem(folder: Folder, config: dict[str, Any], weights: Weights) -> str | None:
    """Why a folder with sound config and weights cannot be loaded."""
    try:
        name = _missing_file(folder)
    except ValueError:
        return incomplete(f"{_INDEX} {fault(folder.path / _INDEX)}")
    if name:
        return incomplete(f"{name} {why_missing(folder.path / name)}")
    if not folder.weights:
        return "Its weights are pickled, which may hide programs: convert them to safetensors."
    tasks = _tasks(folder, config)
    if "chat" not in tasks:
        name = (*texts(config, "architectures"), text(config, "model_type"))[0]
        made = "It makes embeddings; no engine here serves these yet."
        return made if tasks else NO_ENGINE.format(name)
    return _refusal(config, weights) or tokenizer_problem(folder.path, folder.files)


def _refusal(config: dict[str, Any], weights: Weights) -> str | None:
    """Why the library that would run the model refuses it."""
    architecture = text(config, "model_type")
    engine, _ = engine_for(architecture, by_mlx=_is_mlx(config, weights))
    return refusal(engine, architecture, config)


def _is_mlx(config: dict[str, Any], weights: Weights) -> bool:
    return weights.by_mlx or bool(section(config, "quantization"))


def _missing_file(folder: Folder) -> str | None:
    """Name a missing file of weights."""
    for name in (*_indexed(folder), *matching(folder.dead, _WEIGHTS)):
        if name not in folder.files:
            return name
    if not folder.weights and not folder.has(_PICKLED):
        return "model.safetensors"
    return missing(folder.weights)


def _indexed(folder: Folder) -> list[str]:
    """The files that the index of a split model lists. Raises OSError and ValueError."""
    if _INDEX not in folder.files:
        return []
    index = read_json(folder.path / _INDEX)
    names = {name for name in section(index, "weight_map").values() if isinstance(name, str)}
    return sorted(map(unicode, names))


def _tasks(folder: Folder, config: dict[str, Any]) -> tuple[Task, ...]:
    """The tasks of the model; empty when it neither chats nor makes embeddings."""
    names = texts(config, "architectures")
    if "modules.json" in folder.files:  # sentence-transformers
        return ("embedding",)
    takes_pictures = bool(section(config, "vision_config"))
    generates = any(name.endswith("ForConditionalGeneration") for name in names)
    talks = generates and (takes_pictures or bool(section(config, *_TEXT_PARTS)))
    if talks or not names or any(name.endswith(_DECODERS) for name in names):
        return ("chat", "vision") if takes_pictures else ("chat",)
    embeds = all(name.endswith(("Model", "ForMaskedLM")) for name in names)
    return ("embedding",) if embeds else ()


def _card(
    folder: Folder, config: dict[str, Any], weights: Weights, problem: str | None
) -> ModelCard:
    packing = section(config, "quantization", "quantization_config")
    by_mlx = _is_mlx(config, weights)
    kind = main_type(weights.tensors.values())
    architecture = text(config, "model_type") or next(iter(texts(config, "architectures")), "")
    engine, not_installed = engine_for(architecture, by_mlx=by_mlx)
    vision, unclear = folder_engines()[engine].vision(folder.path, config, licence(folder.path))
    tasks = _with_vision(_tasks(folder, config), vision)
    return ModelCard(
        id=folder.path.name,
        format="mlx" if by_mlx else "hf",
        engine=engine,
        path=folder.path,
        size_bytes=sum(folder.files[name] for name in folder.weights),
        tasks=tasks,
        vision=vision if "vision" in tasks else None,
        context_length=_context_length(config),
        architecture=architecture,
        parameters=parameters(weights.tensors, packing),
        quantization=_quantization(packing) or kind,
        licence=licence(folder.path),
        chat_template=chat_template(folder.path),
        shape=_shape(section(config, *_TEXT_PARTS) or config),
        problem=problem or unclear or not_installed,
    )


def _with_vision(tasks: tuple[Task, ...], vision: Vision | None) -> tuple[Task, ...]:
    """The tasks of the model in its engine, which may take text only."""
    others: tuple[Task, ...] = tuple(task for task in tasks if task != "vision")
    return (*others, "vision") if vision and "chat" in others else others


def _quantization(packing: dict[str, Any]) -> str:
    """Method and bits, as far as config.json names them."""
    method = text(packing, "quant_method") or text(packing, "mode").replace("affine", "")
    bits = number(packing, "bits", "w_bit") or (4 if packing.get("load_in_4bit") is True else 0)
    return " ".join(filter(None, [method.upper(), f"{bits}-bit" if bits else ""]))


def _context_length(config: dict[str, Any]) -> int:
    """Tokens that the model was trained for, or reaches by a scaled RoPE."""
    parts = [section(config, *_TEXT_PARTS), config]
    names = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length")
    stated = next((length for part in parts if (length := number(part, *names))), 0)
    scalings = [section(part, "rope_parameters", "rope_scaling") for part in parts]
    of_layers = [section(scaling, kind) for scaling in scalings for kind in scaling]
    return max(stated, *(_stretched(scaling) for scaling in (*scalings, *of_layers)))


def _stretched(scaling: dict[str, Any]) -> int:
    """Tokens that a RoPE scaling reaches; 0 where it does not state the original length."""
    factor = scaling.get("factor")
    if not isinstance(factor, int | float) or not 1 <= factor <= 1e6:
        return 0
    return int(number(scaling, "original_max_position_embeddings") * factor)


def _shape(config: dict[str, Any]) -> Shape:
    layers = number(config, "num_hidden_layers", "n_layer", "num_layers")
    heads = number(config, "num_attention_heads", "n_head")
    hidden = number(config, "hidden_size", "n_embd")
    kv_heads = number(config, "num_key_value_heads") or heads
    width = number(config, "head_dim") or (hidden // heads if heads else 0)
    attending = _attending(texts(config, "layer_types")) or layers
    return Shape(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        key_width=width,
        value_width=width,
        hidden=hidden,
        vocabulary=number(config, "vocab_size"),
        kv_heads_of_all=kv_heads * attending if attending != layers else 0,
    )


def _attending(kinds: Iterable[str]) -> int:
    """Layers that keep keys and values of every token."""
    return sum(kind not in _ATTENTION_FREE for kind in kinds)
