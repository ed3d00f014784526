"""Describes folders for onnxruntime-genai: genai_config.json and graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Shape, Task
from app.provider.catalogue.engine_choice import NO_ENGINE
from app.provider.catalogue.folder import chat_template, incomplete, licence, tokenizer_problem
from app.provider.catalogue.genai_vision import scaling, vision
from app.provider.catalogue.onnx_files import IncompleteGraph, read_graphs, size_of
from app.provider.headers.fields import number, section, text
from app.provider.headers.files import dead_links, fault, read_json, sizes, why_missing
from app.provider.headers.onnx_graph import Graph

CONFIG = "genai_config.json"
_GRAPHS = 32
"""More graphs than any pipeline has."""


def describe(path: Path) -> ModelCard | None:
    """The card of a folder; None for any other folder. Raises nothing but OSError."""
    files = sizes(path)
    if CONFIG not in (*files, *dead_links(path)):
        return None
    try:
        config = section(read_json(path / CONFIG), "model")
    except FileNotFoundError:
        return _card(path, {}, {}, 0, incomplete(f"{CONFIG} {why_missing(path / CONFIG)}"))
    except ValueError:
        return _card(path, {}, {}, 0, incomplete(f"{CONFIG} {fault(path / CONFIG)}"))
    try:
        graphs = read_graphs(path, _graph_names(config))
        size = size_of(path, graphs)
    except IncompleteGraph as error:
        return _card(path, config, {}, 0, str(error))
    problem = _problem(path, config) or tokenizer_problem(path, files)
    return _card(path, config, graphs, size, problem)


def _graph_names(config: dict[str, Any]) -> list[str]:
    """The .onnx files of the model; the decoder, which may be split into a pipeline, is first."""
    decoder = section(config, "decoder")
    names = [*_named(decoder, 0)] or ["model.onnx"]
    others = [name for part in config.values() if part is not decoder for name in _named(part, 0)]
    return list(dict.fromkeys(names + others))[:_GRAPHS]


def _named(part: object, depth: int) -> Iterator[str]:
    """Every ``filename`` in a part of the config."""
    if isinstance(part, dict) and depth < 8:
        if name := text(part, "filename"):
            yield name
        part = list(part.values())
    if isinstance(part, list) and depth < 8:
        for inner in part:
            yield from _named(inner, depth + 1)


def _problem(path: Path, config: dict[str, Any]) -> str | None:
    inputs = section(section(config, "decoder"), "inputs")
    if "inputs_embeds" in inputs and not scaling(path, config):
        return (
            "Its decoder only reads what its image part makes; "
            f"no engine here does that for {text(config, 'type') or 'this type of model'}."
        )
    if section(config, "encoder"):
        return NO_ENGINE.format(text(config, "type"))
    return None


def _card(
    path: Path, config: dict[str, Any], graphs: dict[str, Graph], size: int, problem: str | None
) -> ModelCard:
    main = next(iter(graphs.values()), Graph([], []))
    scaled = scaling(path, config)
    tasks: tuple[Task, ...] = ("chat", "vision") if scaled else ("chat",)
    return ModelCard(
        id=path.name,
        format="onnx",
        engine="onnx",
        path=path,
        size_bytes=size,
        tasks=tasks,
        vision=vision(scaled) if scaled else None,
        context_length=number(config, "context_length"),
        architecture=text(config, "type"),
        parameters=sum(graph.parameters() for graph in graphs.values()),
        quantization=main.quantization(),
        licence=licence(path),
        chat_template=chat_template(path),
        shape=_shape(config, section(config, "decoder")),
        problem=problem,
    )


def _shape(config: dict[str, Any], decoder: dict[str, Any]) -> Shape:
    heads, hidden = number(decoder, "num_attention_heads"), number(decoder, "hidden_size")
    width = number(decoder, "head_size") or (hidden // heads if heads else 0)
    return Shape(
        layers=number(decoder, "num_hidden_layers"),
        heads=heads,
        kv_heads=number(decoder, "num_key_value_heads") or heads,
        key_width=width,
        value_width=width,
        hidden=hidden,
        vocabulary=number(config, "vocab_size"),
    )
