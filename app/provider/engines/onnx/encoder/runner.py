"""Implements ``EncoderRunner`` on the graphs of a folder."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.encoding.folders.image_settings import ImageSettings
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.inputs.images import encoder_pixels
from app.provider.encoding.inputs.text_input import TextInput
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engines.onnx.cpu_affinity import CpuAffinity
from app.provider.engines.onnx.encoder.pictures import (
    PIXELS,
    ImageEncoder,
    MatchedTextEncoder,
    blank_feeds,
)
from app.provider.engines.onnx.encoder.session import Session
from app.provider.engines.onnx.encoder.texts import PairScorer, TextEncoder
from app.provider.engines.onnx.encoder.tokens import IDS, TokenFeeds
from app.provider.errors import ModelNotLoadable, UnsupportedInput
from app.provider.headers.fields import number, section
from app.provider.headers.files import optional_json
from app.provider.types import ImagePart, TextPart

_USUAL_PATCH = 16


class OnnxEncoder:
    """Encodes with one graph, or with one for texts and one for images.

    Raises ModelNotLoadable for graphs that do not make what the settings say.
    """

    def __init__(self, settings: EncoderSettings, graphs: Sequence[Session]) -> None:
        self.max_tokens = settings.max_tokens
        self.dimensions = settings.dimensions
        self.layer_norm = settings.layer_norm_before_cut
        self._settings = settings
        self._patch = patch_side(settings)
        self._cpu_affinity = CpuAffinity()
        self._texts = TextInput(settings) if settings.text else None
        self._of_texts = self._text_graph(graphs[0])
        self._of_images = self._image_graph(graphs[-1])

    def _text_graph(self, graph: Session) -> TextEncoder | PairScorer | MatchedTextEncoder | None:
        if self._texts is None:
            return None
        pad_token = self._texts.pad_token
        if self._settings.kind == "rerank":
            return PairScorer(graph, self._settings, pad_token)
        if self._settings.kind == "embedding":
            return TextEncoder(graph, self._settings, pad_token)
        image = _image_settings(self._settings)
        blank = blank_feeds(image) if PIXELS in graph.inputs else {}
        return MatchedTextEncoder(graph, self._settings, pad_token, blank)

    def _image_graph(self, graph: Session) -> ImageEncoder | None:
        if self._settings.image is None:
            return None
        blank = {}
        if self._texts is not None and IDS in graph.inputs:
            item = self._texts.prepare(TextPart("a"), index=0, prompt="", truncate=True)
            blank = TokenFeeds(graph, self._texts.pad_token).make([item])
        return ImageEncoder(graph, self._settings, self._settings.image, blank)

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a text or pair, or scale an image."""
        image = self._settings.image
        if isinstance(part, ImagePart) and image is not None:
            pixels = encoder_pixels(part, image)
            _, height, width = pixels.shape
            return EncoderItem(pixels=pixels, cost=height * width // self._patch**2)
        if self._texts is None:
            raise UnsupportedInput("This model takes images.")
        return self._texts.prepare(part, index=index, prompt=prompt, truncate=truncate)

    def forward(self, batch: Sequence[EncoderItem]) -> Vectors:
        """One run of a graph."""
        encoder = self._of_texts if batch[0].pixels is None else self._of_images
        assert encoder is not None  # noqa: S101 — prepare refuses what has no graph
        return encoder(batch)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU cores."""
        self._cpu_affinity.use(threads)

    def close(self) -> None:
        """The graphs are freed with their last references."""


def patch_side(settings: EncoderSettings) -> int:
    """Pixels of the side of a patch, each of which costs about as much as a token."""
    config = optional_json(settings.folder / "config.json")
    inner = section(config, "vision_config") or config
    return number(inner, "patch_size") or _USUAL_PATCH


def _image_settings(settings: EncoderSettings) -> ImageSettings:
    if settings.image is None:
        raise ModelNotLoadable("Its files do not say how images are scaled.")
    return settings.image
