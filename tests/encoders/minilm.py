"""all-MiniLM-L6-v2, the real weights: its folder, and what sentence-transformers makes of texts.

``python -m tests.encoders.minilm`` stores the vectors anew, in an environment of its own with
``sentence-transformers``.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.encoders.family import booleans
from tests.encoders.inputs import LONG, TEXTS

STORED = Path(__file__).parent / "references" / "minilm.npz"
INPUTS = (*TEXTS, LONG)
"""The last one is longer than the model takes."""


def copy_folder(source: Path, target: Path, *, weights: bool = True) -> Path:
    """The folder as on the Hub; the package has no settings of the pooling."""
    left_out = () if weights else ("*.safetensors",)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out), dirs_exist_ok=True)
    pooling = target / "1_Pooling" / "config.json"
    pooling.parent.mkdir(exist_ok=True)
    pooling.write_text(json.dumps(booleans("mean_tokens", width=384)))
    return target


def vectors() -> NDArray[np.float32]:
    """What sentence-transformers makes of the inputs [inputs, 384]."""
    found: NDArray[np.float32] = np.load(STORED)["texts"]
    return found


def main(source: Path, target: Path) -> None:
    library = importlib.import_module("sentence_transformers")
    model = library.SentenceTransformer(str(copy_folder(source, target)), device="cpu")
    np.savez_compressed(STORED, allow_pickle=False, texts=model.encode(list(INPUTS)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
