"""Reads the folder of a reranker: a cross-encoder, or a language model asked for yes or no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.provider.encoding.folders.modules import Modules
from app.provider.encoding.folders.prompts import folder_prompts, sentence_config
from app.provider.encoding.folders.settings import EncoderSettings, RerankPrompt
from app.provider.encoding.folders.text_settings import text_settings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import section, text, texts

QWEN = RerankPrompt(
    prefix=(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n"
    ),
    suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    instruction="Given a web search query, retrieve relevant passages that answer the query",
)
"""Qwen3-Reranker."""

_DECODERS = ("gemma", "gemma2", "gemma3_text", "llama", "mistral", "qwen2", "phi3")
"""Model types that write text, so that a pair is a question to them."""
_SIGMOID, _IDENTITY = "Sigmoid", "Identity"


def read_reranker(
    settings: EncoderSettings, config: dict[str, Any], modules: Modules | None
) -> EncoderSettings:
    """The settings of a reranker; raises ModelNotLoadable."""
    prompts, default = folder_prompts(settings.root)
    return replace(
        settings,
        dimensions=1,
        text=text_settings(settings.folder, config),
        normalize=False,
        prompts=prompts,
        default_prompt=default,
        activation=_activation(settings, config),
        rerank_prompt=_prompt(settings, config, modules),
    )


def _prompt(
    settings: EncoderSettings, config: dict[str, Any], modules: Modules | None
) -> RerankPrompt | None:
    """The text around a pair; None for a cross-encoder, whose tokenizer joins the two."""
    classifies = any(name.endswith("ForSequenceClassification") for name in _names(config))
    if settings.model_type == "qwen3":
        return replace(QWEN, has_head=True) if classifies else _of_logits(modules)
    if classifies and settings.model_type not in _DECODERS:
        return None
    raise ModelNotLoadable(
        "It is a language model that ranks, and the question it was trained to be asked is not "
        "known here: of these only Qwen3-Reranker is computed."
    )


def _of_logits(modules: Modules | None) -> RerankPrompt:
    if modules and modules.yes is not None:
        return replace(QWEN, yes=modules.yes, no=modules.no, yes_only=modules.no is None)
    return QWEN


def _names(config: dict[str, Any]) -> list[str]:
    return texts(config, "architectures")


def _activation(settings: EncoderSettings, config: dict[str, Any]) -> str:
    """The function that the files name for the score; refuses one that is not known here."""
    named = (
        text(section(config, "sentence_transformers"), "activation_fn")
        or text(config, "sbert_ce_default_activation_function")
        or text(sentence_config(settings.root), "activation_fn")
    )
    last = named.rpartition(".")[2] or _SIGMOID
    if last not in (_SIGMOID, _IDENTITY):
        raise ModelNotLoadable(f"Its score is made by {named}, which is not computed here.")
    return last.lower()
