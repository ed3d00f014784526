"""Reads the weights of a starter without the library that wrote them."""

import json
from pathlib import Path

import numpy as np


def half_weights(folder: Path) -> dict[str, np.ndarray]:
    """Read float16 tensors: a length, a JSON header, then the numbers."""
    data = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    assert header.pop("__metadata__", {}).get("format") == "pt"
    assert {facts["dtype"] for facts in header.values()} == {"F16"}
    return {
        name: np.frombuffer(data[start:][slice(*facts["data_offsets"])], np.float16).reshape(
            facts["shape"]
        )
        for name, facts in header.items()
    }
