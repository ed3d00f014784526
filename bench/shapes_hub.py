"""The tokeniser and configuration of ``bench.shapes`` as files of a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import shapes

END = shapes.FIRST_SPECIAL + 2
LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
CONFIG: dict[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": shapes.VOCAB,
    "hidden_size": shapes.HIDDEN,
    "intermediate_size": shapes.FFN,
    "num_hidden_layers": shapes.LAYERS,
    "num_attention_heads": shapes.HEADS,
    "num_key_value_heads": shapes.KV_HEADS,
    "max_position_embeddings": 32_768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "bos_token_id": shapes.FIRST_SPECIAL,
    "eos_token_id": END,
}


def write_tokenizer(
    folder: Path, specials: Sequence[str] = shapes.SPECIALS, template: str = shapes.TEMPLATE
) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    tokens = shapes.vocabulary(specials)
    control = range(shapes.FIRST_SPECIAL, shapes.FIRST_SPECIAL + len(specials))
    model = {
        "type": "BPE",
        "vocab": {token: number for number, token in enumerate(tokens)},
        "merges": [merge.split(" ") for merge in shapes.merges()],
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
        "bos_token": tokens[shapes.FIRST_SPECIAL],
        "eos_token": tokens[END],
        "pad_token": tokens[shapes.FIRST_SPECIAL],
    }
    for name, content in (("tokenizer", tokenizer), ("tokenizer_config", settings)):
        text = json.dumps(content, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _added(number: int, text: str) -> dict[str, object]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, "special": True, **flags}
