"""The tokeniser and configuration of ``bench.models.qwen2`` as files of a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.models import qwen2

END = qwen2.FIRST_SPECIAL + 2
LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
CONFIG: dict[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": qwen2.VOCAB,
    "hidden_size": qwen2.HIDDEN,
    "intermediate_size": qwen2.FFN,
    "num_hidden_layers": qwen2.LAYERS,
    "num_attention_heads": qwen2.HEADS,
    "num_key_value_heads": qwen2.KV_HEADS,
    "max_position_embeddings": 32_768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "bos_token_id": qwen2.FIRST_SPECIAL,
    "eos_token_id": END,
}


def write_tokenizer(
    folder: Path, specials: Sequence[str] = qwen2.SPECIALS, template: str = qwen2.TEMPLATE
) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    tokens = qwen2.vocabulary(specials)
    control = range(qwen2.FIRST_SPECIAL, qwen2.FIRST_SPECIAL + len(specials))
    model = {
        "type": "BPE",
        "vocab": {token: number for number, token in enumerate(tokens)},
        "merges": [merge.split(" ") for merge in qwen2.merges()],
    }
    tokenizer = {
        "version": "1.0",
        "added_tokens": [_added(number, tokens[number]) for number in control],
        "pre_tokenizer": LETTERS,
        "decoder": LETTERS,
        "model": model,
    }
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "chat_template": template,
        "bos_token": tokens[qwen2.FIRST_SPECIAL],
        "eos_token": tokens[END],
        "pad_token": tokens[qwen2.FIRST_SPECIAL],
    }
    for name, content in (("tokenizer", tokenizer), ("tokenizer_config", settings)):
        text = json.dumps(content, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _added(number: int, text: str) -> dict[str, object]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, "special": True, **flags}
