"""The parts of an encoder that become ONNX graphs: functions of tensors, with examples of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from app.provider.encoding.folders.image_settings import ImageSettings, Size
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.inputs.images import target_size
from app.provider.encoding.inputs.text_input import TextInput
from app.provider.encoding.runner import EncodePart
from app.provider.engines.pytorch.encoder.text_models import score_row
from app.provider.engines.pytorch.encoder.token_batch import TokenBatches
from app.provider.errors import ModelNotLoadable
from app.provider.types import PairPart, TextPart

Tensors = dict[str, torch.Tensor]
Compute = Callable[..., torch.Tensor]

_TEXT_AXES = {0: "batch_size", 1: "sequence_length"}
_IMAGE_AXES = {0: "batch_size"}
_CHANGING = (
    "Its images have changing sizes, of which no graph can be made: run it from these files with "
    "the pytorch extra (./run.sh install pytorch)."
)


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """A graph to make: ``compute`` turns tensors like those of ``example`` into the ``output``.

    The ``axes`` of the example can have any size.
    """

    name: str
    output: str
    compute: Compute
    example: Tensors
    axes: dict[int, str]


class Traced(torch.nn.Module):  # type: ignore[misc]
    """Takes tensors in the order of the plan's names, as the exporter wants it."""

    def __init__(self, model: torch.nn.Module, plan: GraphPlan) -> None:
        super().__init__()
        self.model = model  # so that the exporter finds the weights
        self._plan = plan

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Compute the output."""
        return self._plan.compute(**dict(zip(self._plan.example, tensors, strict=True)))


def graph_plans(model: Any, settings: EncoderSettings) -> list[GraphPlan]:
    """The graphs of a model: one, or one for texts and one for images.

    Raises ModelNotLoadable for a model of which no graph can be made.
    """
    if settings.kind == "multimodal":
        towers = model.get_text_features, model.get_image_features
        texts, images = (_pooled(tower) for tower in towers)
        return [
            _of_texts(settings, model.text_model, ("text_model", "text_embeds"), texts),
            _of_images(settings.image, ("vision_model", "image_embeds"), images),
        ]
    if settings.kind == "vision":
        _fix_positions(model, settings.image)
        return [_of_images(settings.image, ("model", "pooler_output"), _pooled(model))]
    if settings.kind == "rerank":
        judges = settings.rerank_prompt is not None
        compute = _judged(model, TextInput(settings)) if judges else _classified(model)
        return [_of_texts(settings, model.base_model, ("model", "logits"), compute)]
    return [_of_texts(settings, model, ("model", "last_hidden_state"), _hidden(model))]


def _hidden(model: Any) -> Compute:
    if model.config.model_type == "gemma3_text":
        return lambda **inputs: model(**_with_masks(model.config, **inputs)).last_hidden_state
    return lambda **inputs: model(**inputs).last_hidden_state


def _with_masks(config: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
    """The inputs of EmbeddingGemma with its masks, which the exporter cannot follow.

    Tokens see all others, or in some layers those within a window.
    """
    at = torch.arange(input_ids.shape[1])
    present = attention_mask[:, None, None, :] > 0
    near = (at[:, None] - at[None, :]).abs()[None, None] < config.sliding_window
    far = torch.finfo(torch.float32).min
    return {
        "input_ids": input_ids,
        "attention_mask": {
            "full_attention": torch.where(present, 0.0, far),
            "sliding_attention": torch.where(present & near, 0.0, far),
        },
        "use_cache": False,
    }


def _pooled(tower: Any) -> Compute:
    return lambda **inputs: tower(**inputs).pooler_output


def _classified(model: Any) -> Compute:
    return lambda **inputs: model(**inputs).logits


def _judged(model: Any, text: TextInput) -> Compute:
    """How much more a language model says yes than no, at the last token of each row."""
    row = score_row(model, text)

    def compute(**inputs: torch.Tensor) -> torch.Tensor:
        hidden = model.base_model(**inputs, use_cache=False).last_hidden_state
        last = inputs["attention_mask"].sum(dim=1) - 1
        found: torch.Tensor = hidden[torch.arange(hidden.shape[0]), last] @ row[:, None]
        return found

    return compute


def _of_texts(
    settings: EncoderSettings, model: Any, names: tuple[str, str], compute: Compute
) -> GraphPlan:
    """The graph for texts, with its name and that of its output; ``model`` takes the tokens."""
    text = TextInput(settings)
    padded = settings.text is not None and settings.text.pad_to > 0
    parts = [_part(settings, words) for words in ("one two three four five six", "one")]
    items = [text.prepare(part, index=0, prompt="", truncate=True) for part in parts]
    example = TokenBatches(model, text.pad_token, masked=not padded).inputs(items)
    return GraphPlan(*names, compute, example, _TEXT_AXES)


def _part(settings: EncoderSettings, words: str) -> EncodePart:
    return PairPart("one", words) if settings.kind == "rerank" else TextPart(words)


def _of_images(image: ImageSettings | None, names: tuple[str, str], compute: Compute) -> GraphPlan:
    example = {"pixel_values": torch.zeros(2, 3, *_size(image))}
    return GraphPlan(*names, compute, example, _IMAGE_AXES)


def _size(image: ImageSettings | None) -> Size:
    """Height and width of every image."""
    if image is None or image.patches or (image.shortest and not image.crop):
        raise ModelNotLoadable(_CHANGING)
    return image.crop or target_size(64, 64, image)


def _fix_positions(model: Any, image: ImageSettings | None) -> None:
    """Scale DINOv2's table of positions once: every image has the same size."""
    embeddings: Any = getattr(model, "embeddings", None)
    if not hasattr(embeddings, "interpolate_pos_encoding"):
        return
    height, width = _size(image)
    patches = (height // embeddings.patch_size) * (width // embeddings.patch_size)
    example = torch.zeros(1, 1 + patches, model.config.hidden_size)
    scaled = embeddings.interpolate_pos_encoding(example, height, width)
    embeddings.interpolate_pos_encoding = lambda *_: scaled
