"""Describes folders for onnxruntime-genai: genai_config.json and graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from app.provider.card import ModelCard, Shape, Task
from app.provider.catalogue.engine_choice import NO_ENGINE
from app.provider.catalogue.folder import chat_template, incomplete, licence, tokenizer_problem
from app.provider.catalogue.genai_vision import scaling, vision
from app.provider.headers.content import BEGINNING
from app.provider.headers.fields import number, section, text
from app.provider.headers.files import dead_links, fault, read_json, sizes, why_missing
from app.provider.headers.onnx_graph import Graph, read_graph

CONFIG = "genai_config.json"
_GRAPHS = 32
"""More graphs than any pipeline has."""


class _Incomplete(Exception):
    """``str()`` is the problem."""


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
        graphs = {name: _graph(path, name) for name in _graph_names(config)}
        size = _size(path, graphs)
    except _Incomplete as error:
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


def _graph(folder: Path, name: str) -> Graph:
    try:
        return read_graph(_inside(folder, name))
    except FileNotFoundError as error:
        raise _Incomplete(incomplete(f"{name} {why_missing(folder / name)}")) from error
    except ValueError as error:
        raise _Incomplete(incomplete(f"{name} {fault(folder / name)}")) from error


def _size(folder: Path, graphs: dict[str, Graph]) -> int:
    """Bytes of all graphs and of the files beside them that hold their weights."""
    needed: dict[str, int] = dict.fromkeys(graphs, 0)
    for name, graph in graphs.items():
        try:
            lengths = graph.external_bytes()
        except ValueError as error:
            raise _Incomplete(incomplete(f"{name} is damaged or cut off")) from error
        needed |= {str(PurePath(name).parent / file): length for file, length in lengths.items()}
    return sum(_whole_size(folder, name, length) for name, length in needed.items())


def _whole_size(folder: Path, name: str, length: int) -> int:
    try:
        size = _inside(folder, name).stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _Incomplete(incomplete(f"{name} {why_missing(folder / name)}")) from error
    except ValueError as error:
        raise _Incomplete(incomplete(f"{name} is missing")) from error
    if size < length:
        other = fault(folder / name) if size < BEGINNING else "is cut off"
        raise _Incomplete(incomplete(f"{name} {other}"))
    return size


def _inside(folder: Path, name: str) -> Path:
    """The path of a file in the folder; raises _Incomplete for a path that leaves the folder."""
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise _Incomplete("It names files outside its folder.")
    return folder / name


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
