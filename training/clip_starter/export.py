"""Writes the trained model: the Hugging Face files of CLIP first, the ONNX graphs from them.

So all formats hold equal values: float16 weights. The graphs compute in float32 with them.
"""

from pathlib import Path

import torch
from safetensors.numpy import load_file
from transformers import CLIPModel, CLIPTokenizer

from training import files, onnx_files
from training.clip_starter.pictures import DEVIATION, MEAN, SIDE
from training.clip_starter.tokenizer import CONTEXT

PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "processor_class": "CLIPProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": MEAN,
    "image_std": DEVIATION,
}


def write_hf(network: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Save the model in CLIP's layout.

    The graphs have no scale of their own: config.json says the trained one.
    """
    network.config.logit_scale_init_value = network.logit_scale.item()
    network.half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    files.name_tokenizer(folder / "tokenizer_config.json", "CLIPTokenizer")
    files.write_json(folder / "preprocessor_config.json", PREPROCESSOR)


def write_onnx(folder: Path) -> None:
    """Write one graph for texts and one for pictures, as transformers.js has them."""
    network = CLIPModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    texts = {"input_ids": torch.ones((2, CONTEXT), dtype=torch.int64)}
    texts |= {"attention_mask": texts["input_ids"]}
    texts["input_ids"] = texts["input_ids"] * network.config.text_config.eos_token_id
    axes = {0: "batch_size", 1: "sequence_length"}
    outputs = {"text_embeds": {0: "batch_size"}}
    path = folder / "onnx" / "text_model.onnx"
    onnx_files.write(_Texts(network), texts, outputs, path, dict.fromkeys(texts, axes))
    images = {"pixel_values": torch.zeros((2, 3, SIDE, SIDE))}
    outputs = {"image_embeds": {0: "batch_size"}}
    path = folder / "onnx" / "vision_model.onnx"
    onnx_files.write(_Images(network), images, outputs, path, {"pixel_values": {0: "batch_size"}})


class _Texts(torch.nn.Module):
    """From tokens to the projected vectors of texts."""

    def __init__(self, network: CLIPModel) -> None:
        super().__init__()
        self._tower, self._projection = network.text_model, network.text_projection

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        seen = self._tower(input_ids=input_ids, attention_mask=attention_mask)
        vectors: torch.Tensor = self._projection(seen.pooler_output)
        return vectors


class _Images(torch.nn.Module):
    """From pixels to the projected vectors of pictures."""

    def __init__(self, network: CLIPModel) -> None:
        super().__init__()
        self._tower, self._projection = network.vision_model, network.visual_projection

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self._projection(self._tower(pixel_values).pooler_output)
        return vectors


CARD = f"""---
license: mit
language: [en, ko]
pipeline_tag: zero-shot-image-classification
---
# Starter CLIP

A CLIP-architecture model with {{parameters}} parameters that matches simple drawings with words.
It was trained by `training/clip_starter` on pictures drawn and captions written for this project,
and began to see with the layers of `starter-vision-hyperclovax`, which was trained here too: nobody
else's weights, text or output went into it.

**What it knows.** One to three filled shapes of one kind on a plain, shaded or grainy ground:
colour (red, orange, yellow, green, blue, purple, black, white), shape (circle, square, triangle,
star) and number, in English and Korean ("a red circle", "two blue stars", "노란 삼각형 세 개"). Two
unlike objects ("a red circle and a blue square") it matches less well.

**What it does not know.** Everything else: photographs, places in the picture, other shapes,
colours and words. A vector comes out of every picture and every text; only those of the kind above
mean something.

**Pictures** are scaled to a square of {SIDE} pixels, nothing is cut off, as
`preprocessor_config.json` says. **Texts** have up to {CONTEXT} tokens; those of training had less
than 25. Vectors have 64 numbers.

EVALUATION.md says how many matches are right.
"""


def write_card(folder: Path) -> None:
    """Write the README.md that says what the folder holds and under which licence."""
    weights = load_file(folder / "model.safetensors")
    millions = f"{sum(values.size for values in weights.values()) / 1e6:.1f} million"
    (folder / "README.md").write_text(CARD.format(parameters=millions), encoding="utf-8")
