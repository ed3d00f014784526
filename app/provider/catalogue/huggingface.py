"""Describes folders of config.json and safetensors, as Hugging Face and MLX write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import filter as matching
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Task
from app.provider.catalogue.encoder_facts import EncoderReading, read_encoder
from app.provider.catalogue.engine_choice import (
    encoder_engine,
    encoder_refusal,
    engine_for,
    folder_engines,
    no_engine,
    options,
    refusal,
    tasks_with,
)
from app.provider.catalogue.folder import chat_template, incomplete, licence, tokenizer_problem
from app.provider.catalogue.parts import missing
from app.provider.catalogue.shape import TEXT_PARTS, shape_of
from app.provider.encoding.folders.modules import transformer_folder
from app.provider.errors import ModelNotLoadable
from app.provider.headers.budget import once
from app.provider.headers.fields import number, section, text, texts, unicode
from app.provider.headers.files import dead_links, fault, read_json, sizes, unfinished, why_missing
from app.provider.headers.safetensors import (
    IncompleteFileError,
    Weights,
    main_type,
    parameters,
    read_number,
    read_weights,
)

CONFIG = "config.json"
_WEIGHTS = "model*.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLED = "pytorch_model*.bin"
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

    @property
    def weight_files(self) -> list[Path]:
        """The files of weights."""
        return [self.path / name for name in self.weights]

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
    inner = _transformer(path)
    if inner is None:
        return None
    folder = Folder.at(inner)
    if not folder.has(CONFIG) or not folder.has_model():
        return None
    if CONFIG in folder.dead:
        return _card(path, folder, {}, incomplete(f"{CONFIG} {why_missing(inner / CONFIG)}"))
    try:
        config = read_json(inner / CONFIG)
    except ValueError:
        return _card(path, folder, {}, incomplete(f"{CONFIG} {fault(inner / CONFIG)}"))
    if not text(config, "model_type") and not texts(config, "architectures"):
        return None  # a part of a pipeline that makes images
    return _card(path, folder, config, None)


def _transformer(path: Path) -> Path | None:
    """The folder with the weights, which sentence-transformers may keep in one of its own.

    None for that one: it is a part of the model above it.
    """
    try:
        if (inner := transformer_folder(path.parent)) == path and inner != path.parent:
            return None
        inner = transformer_folder(path)
    except ModelNotLoadable:
        return path
    return inner if inner.is_dir() else path


def _fault(folder: Folder, config: dict[str, Any], encoder: EncoderReading | None) -> str | None:
    """Why no engine can load a folder with sound config and weights."""
    try:
        name = _missing_file(folder)
    except ValueError:
        return incomplete(f"{_INDEX} {fault(folder.path / _INDEX)}")
    if name:
        return incomplete(f"{name} {why_missing(folder.path / name)}")
    if not folder.weights:
        return "Its weights are pickled, which may hide programs: convert them to safetensors."
    if not encoder and not _tasks(config):
        return no_engine((*texts(config, "architectures"), text(config, "model_type"))[0])
    return None


def _misfit(
    folder: Folder, config: dict[str, Any], weights: Weights, encoder: EncoderReading | None
) -> str | None:
    """Why the most suitable engine cannot load a sound folder."""
    if encoder:
        return encoder.problem or encoder_refusal(encoder.settings, config)
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


def _tasks(config: dict[str, Any]) -> tuple[Task, ...]:
    """The tasks of a model that is no encoder; empty when it does not chat."""
    names = texts(config, "architectures")
    takes_pictures = bool(section(config, "vision_config"))
    generates = any(name.endswith("ForConditionalGeneration") for name in names)
    talks = generates and (takes_pictures or bool(section(config, *TEXT_PARTS)))
    if talks or not names or any(name.endswith(_DECODERS) for name in names):
        return ("chat", "vision") if takes_pictures else ("chat",)
    return ()


def _card(path: Path, folder: Folder, config: dict[str, Any], problem: str | None) -> ModelCard:
    """The card of a model; ``path`` is its folder, and ``folder`` that of its weights."""
    try:
        weights = Weights() if problem else read_weights(folder.weight_files)
    except IncompleteFileError as error:
        weights, problem = Weights(), incomplete(str(error))
    encoder = read_encoder(path, config)
    problem = problem or _fault(folder, config, encoder)
    sound = problem is None
    problem = problem or _misfit(folder, config, weights, encoder)
    card = _bare_card(path, folder, config, weights, problem)
    if encoder:
        return _encoder_card(card, folder, encoder)
    card = _chat_card(card, folder, config)
    return _with_options(card, folder, config) if sound else card


def _bare_card(
    path: Path, folder: Folder, config: dict[str, Any], weights: Weights, problem: str | None
) -> ModelCard:
    """What the card of any model says."""
    packing = section(config, "quantization", "quantization_config")
    by_mlx = _is_mlx(config, weights)
    return ModelCard(
        id=path.name,
        format="mlx" if by_mlx else "hf",
        engine="mlx" if by_mlx else "pytorch",
        path=path,
        size_bytes=sum(folder.files[name] for name in folder.weights),
        context_length=_context_length(config),
        tasks=_tasks(config),
        architecture=text(config, "model_type") or next(iter(texts(config, "architectures")), ""),
        parameters=parameters(weights.tensors, packing),
        quantization=_quantization(packing) or main_type(weights.tensors.values()),
        licence=licence(path),
        shape=shape_of(config),
        problem=problem,
    )


def _chat_card(card: ModelCard, folder: Folder, config: dict[str, Any]) -> ModelCard:
    engine, not_installed = engine_for(card.architecture, by_mlx=card.format == "mlx")
    vision, unclear = folder_engines()[engine].vision(folder.path, config, card.licence)
    tasks = tasks_with(card.tasks, vision)
    return replace(
        card,
        engine=engine,
        tasks=tasks,
        vision=vision if "vision" in tasks else None,
        chat_template=chat_template(folder.path),
        problem=card.problem or unclear or not_installed,
    )


def _with_options(card: ModelCard, folder: Folder, config: dict[str, Any]) -> ModelCard:
    """The card with the engines that settings may choose."""
    tokenizer = tokenizer_problem(folder.path, folder.files)
    by_mlx = card.format == "mlx"
    found = options(folder.path, config, card.licence, by_mlx=by_mlx, tokenizer=tokenizer)
    return replace(card, options=found)


def _encoder_card(card: ModelCard, folder: Folder, encoder: EncoderReading) -> ModelCard:
    engine, not_installed = encoder_engine(by_mlx=card.format == "mlx")
    scale, bias = (_number(folder, name) for name in ("logit_scale", "logit_bias"))
    return replace(
        card,
        engine=engine,
        tasks=encoder.tasks,
        context_length=encoder.context_length,
        encoder=encoder.facts(scale, bias),
        problem=card.problem or not_installed,
    )


def _number(folder: Folder, name: str) -> float | None:
    """A weight that is a single number."""
    for path in folder.weight_files:
        try:
            found = read_number(path, name)
        except (OSError, IncompleteFileError):
            continue
        if found is not None:
            return found
    return None


def _quantization(packing: dict[str, Any]) -> str:
    """Method and bits, as far as config.json names them."""
    method = text(packing, "quant_method") or text(packing, "mode").replace("affine", "")
    bits = number(packing, "bits", "w_bit") or (4 if packing.get("load_in_4bit") is True else 0)
    return " ".join(filter(None, [method.upper(), f"{bits}-bit" if bits else ""]))


def _context_length(config: dict[str, Any]) -> int:
    """Tokens that the model was trained for, or reaches by a scaled RoPE."""
    parts = [section(config, *TEXT_PARTS), config]
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
