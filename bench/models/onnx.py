"""An ONNX folder of Qwen2.5-0.5B's shape with random int4 weights, made by the model builder.

It needs the ``onnx-builder`` extra: ``python -m bench.models.onnx FOLDER``. It uses the vocabulary
of ``bench.models.qwen2``. Only that vocabulary's words have an embedding, so an answer never ends
by itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from bench.models import qwen2
from bench.models.hugging_face import END, write_tokenizer


def ensure(folder: Path) -> Path:
    """Write the model unless it is there already; a torn write leaves nothing behind."""
    if not folder.exists():
        draft = folder.with_suffix(".part")
        with tempfile.TemporaryDirectory() as source:
            write_hf(Path(source))
            convert(Path(source), draft, "int4")
        draft.rename(folder)
    return folder


def convert(source: Path, target: Path, precision: str) -> None:
    """Build the ONNX folder of a Hugging Face folder for the CPU."""
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    options = ["-m", source, "-o", target, "-p", precision, "-e", "cpu"]
    subprocess.run([*command, *map(str, options)], check=True)


def write_hf(folder: Path) -> None:
    """Write a Hugging Face folder with random float16 weights."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(_config())
    with torch.no_grad():
        words = torch.zeros(qwen2.VOCAB, qwen2.HIDDEN)
        last = qwen2.FIRST_WORD + len(qwen2.WORDS)
        words[qwen2.FIRST_WORD : last].normal_(0, qwen2.WORD_STD)
        model.model.embed_tokens.weight.copy_(words)
    model.half().save_pretrained(folder)
    write_tokenizer(folder)


def _config() -> Qwen2Config:
    return Qwen2Config(
        vocab_size=qwen2.VOCAB,
        hidden_size=qwen2.HIDDEN,
        intermediate_size=qwen2.FFN,
        num_hidden_layers=qwen2.LAYERS,
        num_attention_heads=qwen2.HEADS,
        num_key_value_heads=qwen2.KV_HEADS,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        bos_token_id=qwen2.FIRST_SPECIAL,
        eos_token_id=END,
    )


if __name__ == "__main__":
    ensure(Path(sys.argv[1]))
