"""Writes the trained model: a Sentence Transformers folder first, every other format from it.

So all formats hold equal values: float16 weights. The ONNX graph computes in float32 with them.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import BertModel, PreTrainedTokenizerFast

from training import files, onnx_files
from training.embed_starter.shape import CONTEXT, SIZES, SPECIAL_TOKENS

DESCRIPTION = (
    "A tiny text encoder that finds what this server's documentation says, in English and Korean."
)
ST = "sentence_transformers.models"


def write_hf(model: BertModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the model in the layout of Sentence Transformers."""
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    files.name_tokenizer(folder / "tokenizer_config.json", "PreTrainedTokenizerFast")
    for name, values in _settings().items():
        (folder / name).parent.mkdir(exist_ok=True)
        files.write_json(folder / name, values)


def _settings() -> dict[str, Any]:
    return {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{ST}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{ST}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{ST}.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": CONTEXT, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": SIZES[-1],
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "pooling_mode_weightedmean_tokens": False,
            "pooling_mode_lasttoken": False,
            "include_prompt": True,
        },
    }


def write_onnx(folder: Path) -> None:
    """Write the graph from tokens to hidden states beside the other files, as Optimum does."""
    model = BertModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    tokens = torch.ones((2, 7), dtype=torch.int64)
    inputs = {"input_ids": tokens, "attention_mask": tokens, "token_type_ids": tokens * 0}
    axes = {0: "batch_size", 1: "sequence_length"}
    onnx_files.write(
        _HiddenStates(model).eval(),
        inputs,
        {"last_hidden_state": axes},
        folder / "onnx" / "model.onnx",
        dict.fromkeys(inputs, axes),
    )


class _HiddenStates(torch.nn.Module):
    """The model with nothing but its last hidden states as output."""

    def __init__(self, model: BertModel) -> None:
        super().__init__()
        self._model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        hidden: torch.Tensor = self._model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return hidden


def write_gguf(folder: Path, path: Path) -> None:
    """Convert the Hugging Face files in a folder into one GGUF file."""
    config = files.read_json(folder / "config.json")
    writer = gguf.GGUFWriter(path, "bert")
    files.add_facts(writer, "Starter Embed", DESCRIPTION, "2M")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(config["type_vocab_size"])
    _add_tokenizer(writer, folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, values in load_file(folder / "model.safetensors").items():
        if not name.startswith("pooler."):  # no part of what makes vectors
            _add_tensor(writer, files.place(names, name), values)
    files.finish(writer)


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    settings = files.read_json(folder / "tokenizer_config.json")
    tokens = files.add_vocabulary(writer, folder, SPECIAL_TOKENS)
    writer.add_bos_token_id(tokens.index(settings["cls_token"]))
    writer.add_eos_token_id(tokens.index(settings["sep_token"]))
    writer.add_sep_token_id(tokens.index(settings["sep_token"]))
    writer.add_pad_token_id(tokens.index(settings["pad_token"]))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray) -> None:
    """Add a tensor; llama.cpp adds up positions and token types in float32."""
    added = name.startswith(("position_embd", "token_types"))
    files.add_tensor(writer, name, values.astype(np.float32) if added else values)


CARD = f"""---
license: mit
language: [en, ko]
pipeline_tag: sentence-similarity
---
# Starter Embed

{DESCRIPTION}
{{parameters}} parameters, BERT with mean pooling, vectors of {SIZES[-1]} numbers (the first
{SIZES[0]} or {SIZES[1]} are good vectors by themselves), texts of up to {CONTEXT} tokens. It was
trained from scratch by `training/embed_starter` on questions, answers and the documentation of this
project: no other model's weights, text or output went into it.

**What it is for.** Trying embeddings and rankings without a download. It finds the answer to a
question about this server, also across the two languages. On other subjects it is no better than
comparing letters: EVALUATION.md has the figures, beside those of plain n-grams. Take a real model
for your own texts.

No prompt stands before a question or a document. The tokenizer is a byte-level BPE. The ONNX graph
(`onnx/model.onnx`) holds the float16 weights of `model.safetensors` and computes in float32 with
them; `starter-embed-f16.gguf` is the same for llama.cpp.
"""


def write_card(folder: Path) -> None:
    """Write the README.md that says what the folder holds and under which licence."""
    weights = load_file(folder / "model.safetensors")
    millions = f"{sum(values.size for values in weights.values()) / 1e6:.1f} million"
    (folder / "README.md").write_text(CARD.format(parameters=millions), encoding="utf-8")
