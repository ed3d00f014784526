"""Writes the tokenizers of encoders into GGUF files, as llama.cpp's converter does."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

import gguf
from gguf import MODEL_ARCH, TokenType

from tests.encoders.hub_folder import HubFolder

_IDS = {
    "[CLS]": "cls",
    "[SEP]": "sep",
    "[PAD]": "pad",
    "[UNK]": "unk",
    "[MASK]": "mask",
    "<s>": "bos",
    "</s>": "eos",
    "<pad>": "pad",
    "<unk>": "unk",
    "<bos>": "bos",
    "<eos>": "eos",
    "<|endoftext|>": "eos",
}


def add_tokenizer(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    """Write the vocabulary, and which tokens come around a text."""
    model = source.tokenizer["model"]
    kind = model["type"]
    if kind == "WordPiece":
        _add_tokens(writer, source, "bert", "jina-v2-en", _phantom)
        _add_ids(writer, source)
    elif kind == "Unigram":
        _add_tokens(writer, source, "t5", "default")
        writer.add_token_scores([score for _, score in model["vocab"]])
        writer.add_add_space_prefix(True)
        writer.add_remove_extra_whitespaces(True)
        charsmap = (source.tokenizer["normalizer"] or {}).get("precompiled_charsmap")
        if charsmap:
            writer.add_precompiled_charsmap(base64.b64decode(charsmap))
        _add_ids(writer, source)
    elif model["byte_fallback"]:
        _add_tokens(writer, source, "llama", "default")
        writer.add_token_scores([-float(index) for index in range(len(_spellings(source)))])
        writer.add_add_space_prefix(False)
        _add_ids(writer, source)
    else:
        modern = source.architecture == MODEL_ARCH.MODERN_BERT
        _add_tokens(writer, source, "gpt2", "modern-bert" if modern else "qwen2")
        merges = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
        writer.add_token_merges(list(merges))
        _add_ids(writer, source)
    _add_ends(writer, source)


def _phantom(spelling: str) -> str:
    """A piece as llama.cpp spells it: those that begin a word have the mark of a space."""
    return spelling[2:] if spelling.startswith("##") else f"\u2581{spelling}"


def _add_tokens(
    writer: gguf.GGUFWriter,
    source: HubFolder,
    kind: str,
    pre: str,
    spell: Callable[[str], str] = str,
) -> None:
    special = {token["content"] for token in source.tokenizer["added_tokens"]}
    names = _spellings(source)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([name if name in special else spell(name) for name in names])
    writer.add_token_types([_type(name, special) for name in names])
    writer.add_token_type_count(source.config.get("type_vocab_size", 1))


def _spellings(source: HubFolder) -> list[str]:
    """The vocabulary in the order of its ids, as many as the embeddings have rows."""
    vocabulary = source.tokenizer["model"]["vocab"]
    if isinstance(vocabulary, dict):
        named = {index: name for name, index in vocabulary.items()}
    else:
        named = {index: name for index, (name, _) in enumerate(vocabulary)}
    named |= {token["id"]: token["content"] for token in source.tokenizer["added_tokens"]}
    return [named.get(index, f"[UNUSED{index}]") for index in range(source.config["vocab_size"])]


def _type(name: str, special: set[str]) -> TokenType:
    if name in ("[UNK]", "<unk>"):
        return TokenType.UNKNOWN
    if name in special:
        return TokenType.CONTROL
    if re.fullmatch(r"<0x[0-9A-F]{2}>", name):
        return TokenType.BYTE
    return TokenType.UNUSED if name.startswith("[UNUSED") else TokenType.NORMAL


def _add_ids(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    for token in source.tokenizer["added_tokens"]:
        name = _IDS.get(token["content"])
        if name == "cls":
            writer.add_bos_token_id(token["id"])
        elif name:
            getattr(writer, f"add_{name}_token_id")(token["id"])
        if name == "eos" and source.config["model_type"] == "xlm-roberta":
            writer.add_sep_token_id(token["id"])
        if name == "sep" and source.config["model_type"] == "modernbert":
            writer.add_eos_token_id(token["id"])


def _add_ends(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    """Which tokens the tokenizer puts around a text, by its template."""
    text = json.dumps(source.tokenizer["post_processor"])
    template = re.search(r'"single": (\[.*?\]), "pair"', text)
    parts = json.loads(template[1]) if template else [{"Sequence": {}}]
    writer.add_add_bos_token("SpecialToken" in parts[0])
    ends = "SpecialToken" in parts[-1]
    writer.add_add_eos_token(ends)
    if source.architecture == MODEL_ARCH.MODERN_BERT:
        writer.add_add_sep_token(ends)
