"""What a family of encoders is: the files of its folder but for the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["embedding", "rerank", "vision", "multimodal"]
TOKENS = 64
"""The most tokens of a text, special tokens included, where a folder names a limit."""
POOLINGS = (
    "cls_token",
    "mean_tokens",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "weightedmean_tokens",
    "lasttoken",
)


@dataclass(frozen=True, slots=True)
class Family:
    """``like`` is the model on the Hub whose layout it has.

    ``config`` is config.json, ``files`` the other JSON files, ``tokenizer`` the name of one in
    ``tokenizers``. ``extra`` are tensors that the Hub's file has beside those of the model's class.
    ``prompts`` are those that references exist for. ``loads_as`` takes the place of the config
    where transformers' own class reads it under other names.
    """

    like: str
    kind: Kind
    config: Mapping[str, Any]
    tokenizer: str = ""
    files: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dense: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    loads_as: Mapping[str, Any] = field(default_factory=dict)


def booleans(*modes: str, width: int = 64, **more: Any) -> dict[str, Any]:
    """1_Pooling/config.json as sentence-transformers wrote it up to version 5."""
    wanted = {f"pooling_mode_{mode}": mode in modes for mode in POOLINGS}
    return {"word_embedding_dimension": width, **wanted, **more}


def modules(*types: str, new: bool = False) -> list[dict[str, Any]]:
    """modules.json: the transformer, then these; ``new`` are the places of version 6."""
    found = []
    for index, kind in enumerate(("Transformer", *types)):
        home = "base" if kind in ("Transformer", "Dense", "Normalize") else "sentence_transformer"
        package = f"sentence_transformers.{home}.modules" if new else "sentence_transformers.models"
        module = f"{package}.{kind.lower()}.{kind}" if new else f"{package}.{kind}"
        path = f"{index}_{kind}" if index else ""
        found.append({"idx": index, "name": str(index), "path": path, "type": module})
    return found


def tokenizer_config(name: str, length: int = TOKENS, **special: Any) -> dict[str, Any]:
    return {"tokenizer_class": name, "model_max_length": length, **special}


BERT_TOKENS = tokenizer_config(
    "BertTokenizer",
    512,
    do_lower_case=True,
    cls_token="[CLS]",
    sep_token="[SEP]",
    pad_token="[PAD]",
    unk_token="[UNK]",
    mask_token="[MASK]",
    padding_side="right",
)
XLMR_TOKENS = tokenizer_config(
    "XLMRobertaTokenizer",
    TOKENS,
    bos_token="<s>",
    cls_token="<s>",
    sep_token="</s>",
    eos_token="</s>",
    pad_token="<pad>",
    unk_token="<unk>",
    mask_token="<mask>",
)
QWEN_TOKENS = tokenizer_config(
    "Qwen2Tokenizer",
    131072,
    add_bos_token=False,
    eos_token="<|endoftext|>",
    pad_token="<|endoftext|>",
    errors="replace",
)
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
