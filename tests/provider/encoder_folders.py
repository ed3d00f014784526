"""Writes folders of encoders without weights, in the layouts that strangers publish."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from tests.provider.graph_files import FLOAT, INT64, GraphWriter

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{number}" for number in range(96)))
BERT: Mapping[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
POOLED: Mapping[str, object] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_P", "type": "sentence_transformers.models.Pooling"},
    ],
    "1_P/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
}
"""The files of a plain mean."""
LAYOUTS = {
    "2": "sentence_transformers.models",
    "6": "sentence_transformers.sentence_transformer.modules",
    "6 base": "sentence_transformers.base.modules",
}
"""Where the classes of modules were in releases of sentence-transformers."""


def write_json(path: Path, value: object) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_tokenizer(folder: Path, *, lower: bool = True) -> None:
    """A tokenizer of whole words that frames texts as BERT does."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(WORDS[:4]))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # Published tokenizers often cut and pad on their own, which no limit of the model asks for.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_encoder(
    folder: Path, config: Mapping[str, Any] = BERT, files: Mapping[str, object] = {}
) -> Path:
    """A folder of config.json, a tokenizer and these JSON files."""
    write_json(folder / "config.json", config)
    write_tokenizer(folder)
    for name, value in files.items():
        write_json(folder / name, value)
    return folder


def modules(names: Iterable[str], layout: str = "2") -> list[dict[str, Any]]:
    """``modules.json`` that lists modules of these classes."""
    return [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{name}" if index else "",
            "type": f"{LAYOUTS[layout]}.{name}",
        }
        for index, name in enumerate(names)
    ]


def write_graph(
    path: Path,
    reads: Iterable[str] = ("input_ids", "attention_mask"),
    gives: Iterable[str] = ("last_hidden_state",),
    numbers: Mapping[str, float] = {},
    kind: type[np.generic] = np.float32,
) -> Path:
    """A graph with these inputs, outputs and scalars that computes nothing."""
    graph = GraphWriter()
    for name in reads:
        graph.reads(name, INT64, "batch", "length")
    for name in gives:
        graph.gives(name, FLOAT, "batch", 32)
    graph.constants({"weight": np.zeros((32, 32), kind)})
    graph.constants({name: np.float32(number) for name, number in numbers.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.model("encoder"))
    return path
