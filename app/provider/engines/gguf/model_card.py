"""Makes the card of a model from the headers of its GGUF files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Shape
from app.provider.catalogue.names import is_named_gguf, model_id
from app.provider.catalogue.parts import group, parts
from app.provider.engines.gguf.encoder.kinds import EncoderHeader
from app.provider.engines.gguf.mmproj import find_mmproj
from app.provider.engines.gguf.model_kinds import is_companion, why_no_chat, why_no_text
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.fields import (
    TEMPLATE_TOO_LONG,
    is_too_long,
    number,
    sensible,
    template,
    text,
)
from app.provider.headers.files import open_regular
from app.provider.headers.gguf import CUT_OFF, TEMPLATE, Header, read_header

_SUFFIX = ".gguf"
_PIECE = re.compile(
    r"(?i)(.+\.gguf)[-._]?(?:part|split|chunk|piece)?[-._]?"
    r"(?:\d{1,5}(?:[-_]?of[-_]?\d{1,5})?|[a-z]{1,2})"
)
"""Names of pieces made by tools that split files."""


def describe(path: Path) -> ModelCard | None:
    """Make the card of a GGUF file, or of all parts of a model when this is the first one there.

    None for any other file. A file that only has the name of a GGUF gets a card with the problem.
    Raises OSError and TooExpensive.
    """
    names = parts(path.name)
    if path.name != names[0]:
        return None if _earlier_part(path, names) else _without_first(path, names[0])
    header = read_header(path)
    if header is None:
        return _broken(path) if is_named_gguf(path) else None
    if is_companion(header, in_parts=len(names) > 1):
        return None
    others = [*_read_parts(path, names[1:])] if header.whole else []
    found = [(path.stat().st_size, header), *(part for part in others if part)]
    header.heads.update(*(part.heads for _, part in found))
    encoder = EncoderHeader.of(header, path.name)
    refusal = _refusal(encoder) if header.whole else None
    card = _card(path, found, _problem(header, names, others) or refusal)
    if encoder.task:
        return replace(card, tasks=(encoder.task,), encoder=encoder.facts)
    return card if refusal else _chat_card(card)


def unreadable(path: Path, problem: str) -> ModelCard:
    """Make the card of a file that cannot be read, with the reason."""
    return ModelCard(
        id=model_id(path),
        format="gguf",
        engine="gguf",
        path=path,
        size_bytes=0,
        tasks=(),
        aliases=_aliases(path),
        context_length=0,
        problem=problem,
    )


def _earlier_part(path: Path, names: list[str]) -> bool:
    """Whether an earlier part of the model is there: that one gets the card."""
    before = names[: names.index(path.name)]
    return any(path.with_name(name).exists() for name in before)


def _without_first(path: Path, first: str) -> ModelCard | None:
    if not is_named_gguf(path):
        return None
    return unreadable(path.with_name(first), _incomplete(first, "missing"))


def _broken(path: Path) -> ModelCard:
    with open_regular(path) as file:
        start, size = file.read(BEGINNING), os.fstat(file.fileno()).st_size
    other = identify(start, size) or "is no GGUF file, whatever its name says: download it again"
    card = unreadable(path, f"The file {other}.")
    return replace(card, size_bytes=size)


def _read_parts(path: Path, names: list[str]) -> Iterator[tuple[int, Header] | None]:
    """Size and header of each further part, up to the first that is missing or cut off."""
    for name in names:
        part = _part(path.with_name(name))
        yield part
        if part is None or not part[1].whole:
            return


def _part(path: Path) -> tuple[int, Header] | None:
    """Size and header of a file; None while it is missing or too short for a header."""
    try:
        header = read_header(path)
        return (path.stat().st_size, header) if header else None
    except OSError:
        return None


def _problem(
    header: Header, names: list[str], others: list[tuple[int, Header] | None]
) -> str | None:
    if header.fault:
        return _piece(names[0]) or header.fault if header.fault == CUT_OFF else header.fault
    for name, part in zip(names[1:], others, strict=False):
        if part is None or not part[1].whole:
            return _incomplete(name, "cut off" if part else "missing")
    return _template_problem(header)


def _incomplete(name: str, what: str) -> str:
    return f"The model is incomplete: {name} is {what}. Download or copy it again."


def _piece(name: str) -> str:
    """Tell what to do with one piece of a split file; empty for other names."""
    match = _PIECE.fullmatch(name)
    if match is None:
        return ""
    return (
        f"It is one piece of a file that was cut up: join all pieces in their order to the one "
        f"file {match[1]} (with cat), and delete them."
    )


def _template_problem(header: Header) -> str | None:
    """Why the template of a whole file cannot be used."""
    too_long = TEMPLATE in header.passed_over or is_too_long(header.metadata.get(TEMPLATE))
    return TEMPLATE_TOO_LONG if too_long else None


def _refusal(encoder: EncoderHeader) -> str | None:
    """Why a whole file is of no use here."""
    if encoder.task is None:
        return why_no_chat(encoder.header)
    return why_no_text(encoder.header) or encoder.problem()


def _chat_card(card: ModelCard) -> ModelCard:
    mmproj = find_mmproj(card.path, card.architecture, card.shape.hidden)
    if mmproj is None:
        return replace(card, tasks=("chat",))
    return replace(card, tasks=("chat", "vision"), vision=mmproj.vision)


def _card(path: Path, files: list[tuple[int, Header]], problem: str | None) -> ModelCard:
    header = files[0][1]
    metadata, architecture = header.metadata, text(header.metadata, "general.architecture")
    return ModelCard(
        id=model_id(path),
        format="gguf",
        engine="gguf",
        path=path,
        size_bytes=sum(size for size, _ in files),
        tasks=(),
        aliases=_aliases(path),
        context_length=number(metadata, f"{architecture}.context_length"),
        name=text(metadata, "general.name"),
        version=text(metadata, "general.version"),
        architecture=architecture,
        parameters=sensible(sum(part.parameters for _, part in files)),
        quantization=_quantization(metadata),
        licence=text(metadata, "general.license"),
        chat_template=template(metadata.get("tokenizer.chat_template")),
        shape=_shape(header, architecture),
        problem=problem,
    )


def _aliases(path: Path) -> tuple[str, ...]:
    """The name of a split model without "-00001-of-00003", and its former id."""
    of = group(path.name)
    former = path.name.removesuffix(_SUFFIX)
    whole = (of[0],) if of else ()
    return (*whole, former) if former != model_id(path) else whole


def _quantization(metadata: dict[str, Any]) -> str:
    kind = metadata.get("general.file_type")
    return _FILE_TYPES.get(kind, "") if isinstance(kind, int) else ""


def _shape(header: Header, architecture: str) -> Shape:
    start = f"{architecture}."
    metadata = {k.removeprefix(start): v for k, v in header.metadata.items() if k.startswith(start)}
    layers, hidden = number(metadata, "block_count"), number(metadata, "embedding_length")
    heads = _per_layer(metadata.get("attention.head_count"), layers)
    kv_heads = _per_layer(metadata.get("attention.head_count_kv"), layers) or heads
    most = max(heads, default=0)
    width = hidden // most if most else 0
    vocabulary = sensible(header.lengths.get("tokenizer.ggml.tokens", 0))
    return Shape(
        layers=layers,
        heads=most,
        kv_heads=max(kv_heads, default=0),
        key_width=number(metadata, "attention.key_length") or width,
        value_width=number(metadata, "attention.value_length") or width,
        hidden=hidden,
        vocabulary=vocabulary or number(metadata, "vocab_size"),
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
