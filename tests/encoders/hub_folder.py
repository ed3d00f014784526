"""Reads a folder as it is on the Hub, for tests that convert it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gguf import MODEL_ARCH, PoolingType

_ARCHITECTURES = {
    "BertModel": MODEL_ARCH.BERT,
    "BertForSequenceClassification": MODEL_ARCH.BERT,
    "XLMRobertaModel": MODEL_ARCH.BERT,
    "XLMRobertaForSequenceClassification": MODEL_ARCH.BERT,
    "NomicBertModel": MODEL_ARCH.NOMIC_BERT,
    "ModernBertModel": MODEL_ARCH.MODERN_BERT,
    "Qwen3ForCausalLM": MODEL_ARCH.QWEN3,
    "Gemma3TextModel": MODEL_ARCH.GEMMA_EMBEDDING,
}
_POOLINGS = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "lasttoken": PoolingType.LAST}


class HubFolder:
    """A folder as it is on the Hub."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = self.json("config.json")
        self.tokenizer = self.json("tokenizer.json")
        (name,) = self.config["architectures"]
        self.architecture = _ARCHITECTURES[name]
        self.ranks = "SequenceClassification" in name or "rerank" in path.name

    def json(self, name: str) -> Any:
        """The content of a file; empty where there is none."""
        path = self.path / name
        return json.loads(path.read_text()) if path.exists() else {}

    def number(self, *names: str) -> Any:
        """The first of these settings that is there."""
        return next(self.config[name] for name in names if name in self.config)

    @property
    def pooling(self) -> PoolingType | None:
        stated = self.json("1_Pooling/config.json")
        for word, kind in _POOLINGS.items():
            key = f"pooling_mode_{word}"
            if any(stated.get(one) for one in (key, f"{key}_token", f"{key}_tokens")):
                return kind
        return _POOLINGS.get(stated.get("pooling_mode", ""))
