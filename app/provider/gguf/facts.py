"""Makes a model's card from the headers of its GGUF files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Shape, Task
from app.provider.catalogue.facts import number, sensible, template, text
from app.provider.catalogue.parts import group, parts
from app.provider.gguf.eyes import Eye, find
from app.provider.gguf.header import Header, read_header

_SMALLEST = 64
"""Bytes; anything smaller is no model."""

_NO_MODELS = {"adapter", "mmproj", "vocab", "imatrix"}
"""Values of ``general.type`` for files that only go with a model."""

_ENCODERS = {
    "bert",
    "eurobert",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
}


def describe(path: Path) -> ModelCard | None:
    """The card of a GGUF file, or of several when it is the first part; None for all else."""
    names = parts(path.name)
    if path.name != names[0] or path.stat().st_size < _SMALLEST:
        return None
    header = read_header(path)
    if header is None or _no_model(header, len(names)):
        return None
    others = [_part(path.with_name(name)) for name in names[1:]] if header.whole else []
    found = [(path.stat().st_size, header), *(part for part in others if part)]
    return _card(path, found, _problem(header, names, others))


def _part(path: Path) -> tuple[int, Header] | None:
    """Size and header of a file; None while it is missing or too short for a header."""
    try:
        header = read_header(path)
        return (path.stat().st_size, header) if header else None
    except OSError:
        return None


def _no_model(header: Header, files: int) -> bool:
    facts = header.metadata
    if facts.get("general.architecture") == "clip" or facts.get("general.type") in _NO_MODELS:
        return True
    return header.whole and header.tensors == 0 and files == 1  # a vocabulary by itself


def _problem(
    header: Header, names: list[str], others: list[tuple[int, Header] | None]
) -> str | None:
    if not header.whole:
        return "The file is incomplete."
    for name, part in zip(names[1:], others, strict=True):
        if part is None or not part[1].whole:
            return f"The model is incomplete: {name} is {'cut off' if part else 'missing'}."
    if _is_embedding(header.metadata):
        return "It makes embeddings; no engine here serves these yet."
    return None


def _card(path: Path, files: list[tuple[int, Header]], problem: str | None) -> ModelCard:
    header = files[0][1]
    facts, architecture = header.metadata, text(header.metadata, "general.architecture")
    eye = find(path, architecture, number(facts, f"{architecture}.embedding_length"))
    tasks = _tasks(facts, eye)
    return ModelCard(
        id=path.name.removesuffix(".gguf"),
        format="gguf",
        engine="gguf",
        path=path,
        size_bytes=sum(size for size, _ in files),
        tasks=tasks,
        vision=eye.vision if eye and "vision" in tasks else None,
        aliases=_aliases(path),
        context_length=number(facts, f"{architecture}.context_length"),
        name=text(facts, "general.name"),
        version=text(facts, "general.version"),
        architecture=architecture,
        parameters=sensible(sum(part.parameters for _, part in files)),
        quantization=_quantization(facts),
        licence=text(facts, "general.license"),
        chat_template=template(facts.get("tokenizer.chat_template")),
        shape=_shape(header, architecture),
        problem=problem,
    )


def _aliases(path: Path) -> tuple[str, ...]:
    """The name without "-00001-of-00003" of a model that is cut up."""
    of = group(path.name)
    return (of[0],) if of else ()


def _tasks(facts: dict[str, Any], eye: Eye | None) -> tuple[Task, ...]:
    if _is_embedding(facts):
        return ("embedding",)
    return ("chat", "vision") if eye else ("chat",)


def _is_embedding(facts: dict[str, Any]) -> bool:
    architecture = text(facts, "general.architecture")
    return architecture in _ENCODERS or number(facts, f"{architecture}.pooling_type") > 0


def _quantization(facts: dict[str, Any]) -> str:
    kind = facts.get("general.file_type")
    return _FILE_TYPES.get(kind, "") if isinstance(kind, int) else ""


def _shape(header: Header, architecture: str) -> Shape:
    start = f"{architecture}."
    facts = {k.removeprefix(start): v for k, v in header.metadata.items() if k.startswith(start)}
    layers, hidden = number(facts, "block_count"), number(facts, "embedding_length")
    heads = _per_layer(facts.get("attention.head_count"), layers)
    kv_heads = _per_layer(facts.get("attention.head_count_kv"), layers) or heads
    most = max(heads, default=0)
    width = hidden // most if most else 0
    vocabulary = sensible(header.lengths.get("tokenizer.ggml.tokens", 0))
    return Shape(
        layers=layers,
        heads=most,
        kv_heads=max(kv_heads, default=0),
        key_width=number(facts, "attention.key_length") or width,
        value_width=number(facts, "attention.value_length") or width,
        hidden=hidden,
        vocabulary=vocabulary or number(facts, "vocab_size"),
        kv_heads_of_all=sum(kv_heads) if len(set(kv_heads)) > 1 else 0,
    )


def _per_layer(value: object, layers: int) -> list[int]:
    """A count for each layer, from a list of them or from one for all (given once)."""
    counts: Iterable[object] = value[:layers] if isinstance(value, list) else [value]
    sound = [count for count in counts if type(count) is int and 0 <= count < 2**16]
    return sound if any(sound) else []


_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
}
"""``general.file_type`` → the usual name (llama.cpp's enum llama_ftype)."""
