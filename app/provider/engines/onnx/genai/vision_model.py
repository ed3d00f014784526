"""Wraps onnxruntime-genai's multimodal model and generator: images and tokens in, logits out."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime_genai as og
from PIL import Image

from app.provider.architectures.qwen_vl_pixels import scaled
from app.provider.engines.onnx.settings import FILE
from app.provider.errors import ModelNotLoadable, ProviderError
from app.provider.generation.prepared_prompt import PlacedImage
from app.provider.headers.files import optional_json

Logits = npt.NDArray[np.float32]

START, PAD, END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"
"""Tokens of an image in a prompt: one before, one for each tile, one after."""

_PARTS = ("decoder", "embedding", "vision")


class VisionModel:
    """The three graphs of a folder, on the CPU. Raises ModelNotLoadable."""

    def __init__(self, folder: Path, threads: int) -> None:
        try:
            config = og.Config(str(folder))
            config.clear_providers()
            config.overlay(json.dumps(_overlay(folder, threads)))
            self._model = og.Model(config)
            self._processor = self._model.create_multimodal_processor()
        except RuntimeError as error:
            raise ModelNotLoadable(f"onnxruntime-genai cannot run this model: {error}") from error

    def begin(
        self, tokens: Sequence[int], images: Sequence[PlacedImage], longest: int
    ) -> Generation:
        """Encode the images and prefill the prompt, which may grow to ``longest`` tokens.

        ``tokens`` are those of the model. Raises UnsupportedInput for a broken image, and
        ProviderError when the library refuses something.
        """
        try:
            inputs = self._inputs(images)
            inputs["input_ids"] = np.array([tokens], np.int32)
            return Generation(self._model, inputs, longest)
        except RuntimeError as error:
            raise ProviderError(f"onnxruntime-genai cannot read this prompt: {error}") from error

    def _inputs(self, images: Sequence[PlacedImage]) -> og.NamedTensors:
        """The images as the library's processor prepares them; its tokens are replaced later.

        The processor could take the text too, but would read control tokens in a user's text.
        """
        text = (START + END) * len(images)
        if not images:
            return self._processor(text)
        return self._processor(text, images=og.Images.open_bytes(*map(_png, images)))


class Generation:
    """A prompt after its prefill, and the tokens that follow it."""

    def __init__(self, model: og.Model, inputs: og.NamedTensors, longest: int) -> None:
        # This engine draws the tokens; the library only needs the longest sequence.
        search = og.GeneratorParams(model)
        search.set_search_options(max_length=longest, min_length=0, num_beams=1)
        self._generator = og.Generator(model, search)
        self._generator.set_inputs(inputs)

    def logits(self) -> Logits:
        """Logits [1, vocabulary] of the next token."""
        found: Logits = self._generator.get_logits()
        return found.reshape(-1, found.shape[-1])[-1:]

    def append(self, token: int) -> None:
        """Compute the token that was drawn."""
        self._generator.append_tokens(np.array([token], np.int32))


def _png(image: PlacedImage) -> bytes:
    """Scale an image to its measured size, so that the library does not scale it.

    Raises UnsupportedInput for a broken image.
    """
    pixels = scaled(image.part, image.size.width, image.size.height)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


def _overlay(folder: Path, threads: int) -> dict[str, Any]:
    """Our threads, for every part of the model that has settings of its own."""
    model = optional_json(folder / FILE).get("model", {})
    # Spinning threads are a little faster alone and ruinous beside any other process.
    session = {"intra_op_num_threads": threads, "session.intra_op.allow_spinning": "0"}
    named = [part for part in _PARTS if part == "decoder" or "session_options" in model[part]]
    return {"model": {part: {"session_options": session} for part in named}}
