"""Reads the metadata of a file that llama.cpp has opened."""

from __future__ import annotations

import ctypes

import llama_cpp


def keys(model: llama_cpp.llama_model_p) -> list[str]:
    """The names of all values."""
    buffer = ctypes.create_string_buffer(256)
    found = []
    for index in range(llama_cpp.llama_model_meta_count(model)):
        llama_cpp.llama_model_meta_key_by_index(model, index, buffer, len(buffer))
        found.append(buffer.value.decode(errors="replace"))
    return found


def value(model: llama_cpp.llama_model_p, key: str) -> bytes | None:
    """A value as text, however long; None where there is none."""
    room = 128
    while True:
        buffer = ctypes.create_string_buffer(room)
        length = llama_cpp.llama_model_meta_val_str(model, key.encode(), buffer, room)
        if length < room:
            return buffer.value if length >= 0 else None
        room = length + 1
