"""Reads how many tokens an encoder takes and how its texts are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.encoding.folders.settings import TextSettings
from app.provider.headers.fields import number, section, text
from app.provider.headers.files import optional_json

_SENTENCE_SETTINGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""The names of one file in releases of sentence-transformers."""

_AFTER_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")
"""Model types whose positions begin after the id of the padding."""

_ABSOLUTE = (*_AFTER_PADDING, "bert", "distilbert", "albert", "electra", "mobilebert", "convbert")
"""Model types with a table of positions, which no text may exceed."""

_POSITIONS = ("max_position_embeddings", "n_positions")
_UNKNOWN = 512
"""Tokens that a model takes at least whose files state no limit."""
_MOST = 2**20


def text_settings(folder: Path, config: Mapping[str, Any]) -> TextSettings:
    """The settings of a model of texts; nothing that is missing is an error."""
    tokenizer = optional_json(folder / "tokenizer_config.json")
    sentence = _sentence_settings(folder)
    return TextSettings(
        max_tokens=_max_tokens(config, sentence, tokenizer),
        lower_case=sentence.get("do_lower_case") is True,
        pad_token=_spelling(tokenizer.get("pad_token")),
        pad_id=_pad_id(config),
        beginning=_frame(tokenizer, "bos_token"),
        ending=_frame(tokenizer, "eos_token"),
    )


def _frame(tokenizer: Mapping[str, Any], name: str) -> str:
    """The token that the settings ask to put around each text, where they do."""
    return _spelling(tokenizer.get(name)) if tokenizer.get(f"add_{name}") is True else ""


def clip_text_settings(folder: Path, config: Mapping[str, Any]) -> TextSettings:
    """The settings of CLIP: attention looks back only, so no padding is needed."""
    tokenizer = optional_json(folder / "tokenizer_config.json")
    inner = section(config, "text_config")
    return TextSettings(
        max_tokens=min(number(inner, "max_position_embeddings") or 77, _MOST),
        pad_token=_spelling(tokenizer.get("pad_token")),
        pad_id=_pad_id(inner),
    )


def siglip_text_settings(folder: Path, config: Mapping[str, Any]) -> TextSettings:
    """The settings of SigLIP, which computes its padding as text and knows no capital letters."""
    tokenizer = optional_json(folder / "tokenizer_config.json")
    length = min(number(section(config, "text_config"), "max_position_embeddings") or 64, _MOST)
    by_gemma = text(tokenizer, "tokenizer_class").startswith(("Gemma", "Siglip2"))
    side = text(tokenizer, "padding_side") or ("left" if by_gemma else "right")
    return TextSettings(
        max_tokens=length,
        lower_case=True,
        pad_to=length,
        pad_left=side == "left",
        pad_token=_spelling(tokenizer.get("pad_token")),
        pad_id=0 if by_gemma else 1,
    )


def _sentence_settings(folder: Path) -> dict[str, Any]:
    found = (optional_json(folder / name) for name in _SENTENCE_SETTINGS)
    return next((settings for settings in found if settings), {})


def _max_tokens(
    config: Mapping[str, Any], sentence: Mapping[str, Any], tokenizer: Mapping[str, Any]
) -> int:
    """The limit that the files state for sentences, else for the tokenizer or the model."""
    kind = text(config, "model_type")
    positions = number(config, *_POSITIONS)
    if kind in _AFTER_PADDING and positions:
        positions = max(1, positions - 1 - _pad_id(config))
    stated = number(sentence, "max_seq_length")
    if stated and positions and kind in _ABSOLUTE:
        return min(stated, positions, _MOST)
    both = [limit for limit in (positions, number(tokenizer, "model_max_length")) if limit]
    return min(stated or min(both, default=_UNKNOWN), _MOST)


def _pad_id(config: Mapping[str, Any]) -> int:
    value = config.get("pad_token_id")
    default = 1 if text(config, "model_type") in _AFTER_PADDING else 0
    return value if type(value) is int and 0 <= value < 2**31 else default


def _spelling(token: object) -> str:
    """A token's text, which is written plainly or as an object."""
    spelled = token.get("content") if isinstance(token, dict) else token
    return spelled[:200] if isinstance(spelled, str) else ""
