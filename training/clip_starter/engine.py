"""Encodes texts and pictures with the exported ONNX graphs."""

from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from training.clip_starter.pictures import pixels
from training.embed_starter.engines import session, unit


class Encoder:
    """Both graphs of a folder. Vectors have length one."""

    def __init__(self, folder: Path) -> None:
        self._texts, self._images = (
            session(folder / "onnx" / f"{name}_model.onnx") for name in ("text", "vision")
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def texts(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of texts."""
        return unit(np.concatenate([self._text(text) for text in texts]))

    def _text(self, text: str) -> np.ndarray:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        vectors: np.ndarray = self._texts.run(None, feed)[0]
        return vectors

    def images(self, pictures: list[Image.Image]) -> np.ndarray:
        """Return the vectors of pictures."""
        return unit(np.concatenate([self._image(picture) for picture in pictures]))

    def _image(self, picture: Image.Image) -> np.ndarray:
        vectors: np.ndarray = self._images.run(None, {"pixel_values": pixels(picture)[None]})[0]
        return vectors
