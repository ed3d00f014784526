"""Encodes texts with the exported files: the ONNX graph, and the GGUF through llama.cpp."""

from pathlib import Path

import numpy as np
import onnxruntime
from llama_cpp import LLAMA_POOLING_TYPE_MEAN, Llama
from tokenizers import Tokenizer


class Onnx:
    """The ONNX graph, with mean pooling."""

    def __init__(self, folder: Path) -> None:
        self._session = session(folder / "onnx" / "model.onnx")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return vectors [texts, numbers] of length one."""
        return unit(np.stack([self._encoded(text) for text in texts]))

    def _encoded(self, text: str) -> np.ndarray:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        hidden: np.ndarray = self._session.run(["last_hidden_state"], feed)[0]
        mean: np.ndarray = hidden[0].mean(0)
        return mean


class Gguf:
    """The GGUF file, pooled by llama.cpp."""

    def __init__(self, path: Path) -> None:
        self._llama = Llama(
            str(path),
            embedding=True,
            n_ctx=512,
            n_batch=512,
            n_ubatch=512,
            pooling_type=LLAMA_POOLING_TYPE_MEAN,
            n_threads=1,
            verbose=False,
        )

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return vectors [texts, numbers] of length one."""
        return unit(np.array([self._llama.embed(text) for text in texts], np.float32))

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text with the special ones."""
        return list(self._llama.tokenize(text.encode(), add_bos=True, special=True))


def session(graph: Path) -> onnxruntime.InferenceSession:
    """Open a graph. One thread computes so little sooner than two that wait for each other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors at length one."""
    made: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made
