"""Describes folders with the ONNX graphs of an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.provider.card import EncoderFacts, ModelCard
from app.provider.catalogue.encoder_facts import EncoderReading, read_encoder
from app.provider.catalogue.folder import licence
from app.provider.catalogue.onnx_files import IncompleteGraph, read_graphs, size_of
from app.provider.catalogue.shape import shape_of
from app.provider.encoding.folders.folder import CONFIG
from app.provider.encoding.folders.graphs import EncoderGraphs, find_graphs
from app.provider.encoding.folders.settings import EncoderKind
from app.provider.headers.fields import real, text
from app.provider.headers.files import optional_json
from app.provider.headers.onnx_graph import Graph

_INPUTS = (
    *("input_ids", "attention_mask", "input_mask", "position_ids"),
    *("token_type_ids", "input_type", "segment_ids"),
    *("pixel_values", "pixel_attention_mask", "spatial_shapes"),
)
_PAST = "past_key_values."
_VECTORS = ("pooler_output", "last_hidden_state", "image_embeds", "text_embeds")
_LANGUAGE_MODEL = (
    "As ONNX, this language model gives whole answers and no score of a pair: take its GGUF file "
    "or its safetensors."
)
_HALVES = (
    "It has no graph for {}: a model of images and texts needs text_model.onnx and "
    "vision_model.onnx, or model.onnx with both."
)


def describe_encoder(path: Path, config: Mapping[str, Any]) -> ModelCard | None:
    """The card of a folder; None where it has no graphs or is no encoder. Raises OSError."""
    found = find_graphs(path)
    reading = read_encoder(path, config) if found.any else None
    if reading is None:
        return None
    try:
        graphs = read_graphs(path, _names(path, found.chosen(reading.kind)))
        size, problem = size_of(path, graphs), None
    except IncompleteGraph as error:
        graphs, size, problem = {}, 0, str(error)
    problem = problem or reading.problem or _problem(graphs, found, reading)
    card = _card(path, config, reading, graphs, problem)
    facts = _facts(path, reading, {**graphs, **_joint(path, found)})
    return replace(card, size_bytes=size, encoder=facts)


def _names(path: Path, files: Iterable[Path]) -> list[str]:
    return [str(file.relative_to(path)) for file in files]


def _joint(path: Path, found: EncoderGraphs) -> dict[str, Graph]:
    """The graph of both halves, which alone holds the scale of the cosines."""
    try:
        return read_graphs(path, _names(path, found.whole[:1]))
    except (IncompleteGraph, OSError):
        return {}


def _facts(path: Path, reading: EncoderReading, graphs: Mapping[str, Graph]) -> EncoderFacts:
    stated = optional_json(path / CONFIG)
    scale, bias = (
        _number(graphs, name) or real(stated, name) for name in ("logit_scale", "logit_bias")
    )
    return reading.facts(scale, bias)


def is_float32(card: ModelCard) -> bool:
    """Whether the graphs compute what the original weights would."""
    return card.quantization == "F32"


def _problem(
    graphs: Mapping[str, Graph], found: EncoderGraphs, reading: EncoderReading
) -> str | None:
    """Why the graphs cannot be used."""
    if not found.chosen(reading.kind):
        missing = "texts" if found.vision else "images" if found.text else "this kind of model"
        return _HALVES.format(missing)
    prompt = reading.settings.rerank_prompt if reading.settings else None
    if prompt and not prompt.has_head:
        return _LANGUAGE_MODEL
    return next(filter(None, (_border_problem(*one, reading) for one in graphs.items())), None)


def _border_problem(name: str, graph: Graph, reading: EncoderReading) -> str | None:
    """What is wrong with a graph's inputs or outputs."""
    for wanted in graph.inputs:
        if wanted not in _INPUTS and not wanted.startswith(_PAST):
            return f"{name} wants the input {wanted[:100]}, which no engine here knows."
    useful = [one for one in graph.outputs if _gives_vectors(one, reading.kind)]
    return None if useful else f"{name} gives no vectors, but only {_listed(graph.outputs)}."


def _gives_vectors(output: str, kind: EncoderKind) -> bool:
    if kind == "embedding":
        return output != "logits" and not output.startswith("present.")
    return kind == "rerank" or output in _VECTORS


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name[:100] for name in names[:4]) or "nothing"


def _card(
    path: Path,
    config: Mapping[str, Any],
    reading: EncoderReading,
    graphs: Mapping[str, Graph],
    problem: str | None,
) -> ModelCard:
    main = next(iter(graphs.values()), Graph([], []))
    return ModelCard(
        id=path.name,
        format="onnx",
        engine="onnx",
        path=path,
        size_bytes=0,
        tasks=reading.tasks,
        context_length=reading.context_length,
        architecture=text(config, "model_type"),
        parameters=sum(graph.parameters() for graph in graphs.values()),
        quantization=main.quantization(),
        licence=licence(path),
        shape=shape_of(config),
        problem=problem,
    )


def _number(graphs: Mapping[str, Graph], name: str) -> float | None:
    """A weight that is a single number."""
    for graph in graphs.values():
        for tensor in graph.tensors:
            if tensor.name.rpartition(".")[2] == name and tensor.number is not None:
                return tensor.number
    return None
