"""The description of a model on disk, made without loading it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app.provider.preset import Preset
from app.provider.remote import RemoteModel
from app.provider.types import ModelRef

Task = Literal["chat", "embedding", "rerank", "vision", "multimodal"]
"""What a model can do. ``vision`` beside ``chat``: it answers about images. Without it, and
beside ``multimodal``: it makes vectors of images; ``multimodal``: of texts in the same space."""

Kind = Literal["chat", "vision-chat", "embedding", "rerank", "vision", "multimodal"]
"""The main task of a model: models of different kinds do not evict each other."""

Pairing = Literal["", "softmax", "sigmoid"]
"""How the cosines of one image with several texts become probabilities: together they are 1, or
each stands by itself."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a transformer that decide how much memory it takes; 0 where unknown.

    ``key_width`` and ``value_width`` are numbers per head. ``kv_heads`` are those of the widest
    layer; ``kv_heads_of_all`` layers together is only set where layers differ.
    """

    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    key_width: int = 0
    value_width: int = 0
    hidden: int = 0
    vocabulary: int = 0
    kv_heads_of_all: int = 0

    @property
    def kv_numbers(self) -> int:
        """Numbers that the keys and values of one token are, over all layers."""
        heads = self.kv_heads_of_all or self.layers * self.kv_heads
        return heads * (self.key_width + self.value_width)


@dataclass(frozen=True, slots=True)
class Vision:
    """What images a model takes.

    An image is scaled to at most ``max_pixels`` and becomes ``min_tokens`` to ``max_tokens`` of
    the prompt; 0: not known before the model is loaded. A prompt has at most ``max_images`` (0: as
    many as the context holds). ``size_bytes`` are the weights of the vision tower, where they are
    in a file of their own. ``notice`` is what the model's licence requires users to be shown.
    """

    min_tokens: int = 0
    max_tokens: int = 0
    max_pixels: int = 0
    max_images: int = 0
    video: bool = False
    size_bytes: int = 0
    notice: str = ""


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What a model makes of texts, pairs of texts or images.

    A vector has ``dimensions`` numbers (1: a score; 0: not known before the model is loaded).
    ``pooling`` says how the vectors of tokens become one, in words of sentence-transformers.
    ``prompts`` are texts to put before an input, by name; ``default_prompt`` names the one that is
    used where a request names none ("": none). ``pairing`` is set where images and texts share
    their space: the cosine times ``scale`` plus ``bias`` goes into it (``scale`` 0: not known).
    ``causal``: each token sees only those before it.
    """

    dimensions: int = 0
    pooling: str = ""
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str = ""
    pairing: Pairing = ""
    scale: float = 0.0
    bias: float = 0.0
    causal: bool = False


@dataclass(frozen=True, slots=True)
class EngineOption:
    """An engine that serves a model's kind of files.

    ``problem`` says why it cannot serve this model, ``vision`` what images it takes there.
    ``last_resort``: it serves the model where no other engine reads such files.
    """

    engine: str
    problem: str | None = None
    vision: Vision | None = None
    last_resort: bool = False


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model on disk, or ``remote`` on another server, which a file on disk declares.

    ``id`` is its name in requests, ``format`` the name that clients see of how it is stored,
    ``engine`` a name of ``ENGINES`` (empty: of a broken preset), ``path`` a file or a folder.
    ``size_bytes`` are those of its weights. ``parameters`` is how many weights it has, 0 where
    unknown. ``sha256`` is that of its only file, if the hub stated it. ``stamp`` changes whenever
    its files do. ``found_in`` is the models folder that was scanned. ``vision`` is set exactly
    where a chat model takes images, ``encoder`` exactly where a model makes vectors or scores.
    ``problem`` says why it cannot be loaded; None when it can. ``options`` are the engines to
    choose from, empty where its files leave no choice. With a ``preset`` it is another name of the
    model whose files the other fields describe. ``ttl_seconds`` is that of ``Prompt``, for requests
    that name it.
    """

    id: str
    format: str
    engine: str
    path: Path
    size_bytes: int
    context_length: int
    tasks: tuple[Task, ...] = ("chat",)
    aliases: tuple[str, ...] = ()
    name: str = ""
    version: str = ""
    architecture: str = ""
    parameters: int = 0
    quantization: str = ""
    licence: str = ""
    chat_template: str = ""
    shape: Shape = Shape()
    vision: Vision | None = None
    encoder: EncoderFacts | None = None
    sha256: str = ""
    stamp: str = ""
    found_in: Path = Path()
    problem: str | None = None
    options: tuple[EngineOption, ...] = ()
    remote: RemoteModel | None = None
    preset: Preset | None = None
    ttl_seconds: float | None = None

    @property
    def ref(self) -> ModelRef:
        """What names this model, in this state of its files, to the owner of loaded models.

        A preset has that of its model, and so shares the loaded engine.
        """
        return ModelRef(self.preset.model.id if self.preset else self.id, self.stamp)

    @property
    def declared_in(self) -> Path:
        """The file or folder that gives it its name."""
        return self.preset.path if self.preset else self.path

    def without_preset(self) -> ModelCard:
        """The model itself, for work that is not the user's, such as titles and summaries.

        It belongs to the user's requests, and keeps the model loaded for as long as these.
        """
        return replace(self.preset.model, ttl_seconds=self.ttl_seconds) if self.preset else self

    @property
    def kind(self) -> Kind:
        """Its main task."""
        if "chat" in self.tasks:
            return "vision-chat" if "vision" in self.tasks else "chat"
        kinds: tuple[Kind, ...] = ("multimodal", "rerank", "embedding", "vision")
        return next((kind for kind in kinds if kind in self.tasks), "chat")
