"""Tells what kind of encoder a folder holds, if any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.encoding.folders.known_encoders import is_named_embedder, is_named_reranker
from app.provider.encoding.folders.modules import MODULES, listed_modules
from app.provider.encoding.folders.settings import EncoderKind
from app.provider.headers.fields import number, section, text, texts
from app.provider.headers.files import open_regular, optional_json

_IMAGES = ("dinov2", "dinov2_with_registers", "dinov3_vit")
_IMAGES_AND_TEXTS = ("clip", "siglip", "siglip2")
_DECODERS = ("ForCausalLM", "LMHeadModel")
_CLASSIFIES = "ForSequenceClassification"
_TEXT_MODELS = (
    *("bert", "roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "distilbert", "mpnet"),
    *("albert", "electra", "mobilebert", "convbert", "deberta", "deberta-v2", "modernbert"),
    *("nomic_bert", "eurobert", "gemma3_text", "qwen2", "qwen3", "mistral", "llama", "gemma2"),
    *("new", "gte", "jina_bert"),
)
"""Model types whose bare model (``BertModel``) makes vectors of texts."""

_JUDGE = "Judge whether the Document meets the requirements"
"""In the chat template of a reranker that is asked for yes or no."""
_README = 2**16


def encoder_kind(path: Path, config: Mapping[str, Any]) -> EncoderKind | None:
    """What the model in a folder makes; None for a model that chats or does something else.

    ``config`` is config.json, which may lie in a folder below.
    """
    kind = text(config, "model_type")
    if kind in _IMAGES:
        return "vision"
    if kind in _IMAGES_AND_TEXTS and (section(config, "vision_config") or _joint(config)):
        return "multimodal"
    names = texts(config, "architectures")
    if any(name.endswith(_CLASSIFIES) for name in names):
        return "rerank" if _labels(config) == 1 else None
    if (path / MODULES).is_file():
        return "rerank" if _scores(path) else "embedding"
    if any(name.endswith(_DECODERS) for name in names):
        return _of_decoder(path, config)
    bare = names and all(name.endswith(("Model", "ForMaskedLM")) for name in names)
    return "embedding" if bare and kind in _TEXT_MODELS else None


def model_names(path: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names by which a model may be known: of its maker, of its folder."""
    return text(config, "_name_or_path"), path.name


def _labels(config: Mapping[str, Any]) -> int:
    """How many classes a classifier has; transformers takes two where the file names none."""
    return len(section(config, "id2label")) or number(config, "num_labels") or 2


def _joint(config: Mapping[str, Any]) -> bool:
    """Whether it is the model of both, not one of its two halves."""
    names = texts(config, "architectures")
    return any(name in ("CLIPModel", "SiglipModel", "Siglip2Model") for name in names)


def _scores(path: Path) -> bool:
    """Whether the modules end in a score."""
    try:
        entries = listed_modules(path)
    except (OSError, ValueError):
        return False
    kinds = (text(entry, "type") for entry in entries if isinstance(entry, dict))
    return any(kind.endswith(".LogitScore") for kind in kinds)


def _of_decoder(path: Path, config: Mapping[str, Any]) -> EncoderKind | None:
    """The kind of a language model: its files are those of one that chats, but for its name."""
    names = model_names(path, config)
    if _tagged(path, "text-ranking") or is_named_reranker(*names) or _judges(path):
        return "rerank"
    embeds = _tagged(path, "feature-extraction", "sentence-similarity") or is_named_embedder(*names)
    return "embedding" if embeds else None


def _tagged(path: Path, *tasks: str) -> bool:
    """Whether the front matter of README.md names one of these tasks."""
    try:
        with open_regular(path / "README.md") as file:
            front = file.read(_README).decode("utf-8", "replace").split("\n---", 1)[0]
    except OSError:
        return False
    return any(f"pipeline_tag: {task}" in front for task in tasks)


def _judges(path: Path) -> bool:
    """Whether the chat template asks for a judgement of a document."""
    named = optional_json(path / "tokenizer_config.json").get("chat_template")
    if isinstance(named, str) and _JUDGE in named:
        return True
    try:
        with open_regular(path / "chat_template.jinja") as file:
            return _JUDGE.encode() in file.read(_README)
    except OSError:
        return False
