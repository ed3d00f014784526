"""Writes the HyperCLOVA X checkpoint as its family lies on the Hub (main revision), float16."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast, SiglipVisionConfig, SiglipVisionModel

from app.provider.architectures.hyperclovax.model import HyperClovaX
from training import files
from training.vision_starter.hyperclovax_config import settings
from training.vision_starter.hyperclovax_prompt import END_OF_TEXT, IM_END

FOLDER = "starter-vision-hyperclovax"
CARD = """---
license: mit
language: [en, ko]
pipeline_tag: image-text-to-text
---
# Starter Vision in the layout of HyperCLOVA X SEED Vision

A model with 1.3 million parameters that names colour, shape, number and place of objects in simple
drawings, in English and Korean: see `starter-vision-hf/README.md` for what it knows and what not.
It is here to show that the server's HyperCLOVA X engine sees: SigLIP's tower, C-Abstractor,
Llama, pictures in tiles (anyres), and its chat format with `mime` and `vector` turns.

It was trained from scratch by `training/vision_starter`. Only the layout is that of HyperCLOVA X:
no weights, text or output of any other model went into it, and NAVER has nothing to do with it.

EVALUATION.md says how well it does: a little less well than the Qwen2.5-VL one. What it says to be
seen is nearly always right; of its yes or no after it one in five is wrong, most in Korean.
"""


def write_hyperclovax(model: HyperClovaX, tokenizer: PreTrainedTokenizerFast, models: Path) -> Path:
    """Write the folder into `models`, which must not hold it yet, and return it."""
    folder = models / FOLDER
    folder.mkdir(parents=True)
    save_file(_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    config, preprocessor = settings(tokenizer)
    ids = tokenizer.convert_tokens_to_ids([IM_END, END_OF_TEXT])
    generation = {"do_sample": False, "eos_token_id": ids, "pad_token_id": ids[1]}
    files.write_json(folder / "config.json", config)
    files.write_json(folder / "preprocessor_config.json", preprocessor)
    files.write_json(folder / "processor_config.json", {"processor_class": "HCXProcessor"})
    files.write_json(folder / "generation_config.json", generation)
    files.name_tokenizer(folder / "tokenizer_config.json", "GPT2TokenizerFast")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


def _tensors(model: HyperClovaX) -> dict[str, torch.Tensor]:
    """Return the weights as the Hub names them, and those that are stored but never used."""
    tensors = {
        name.replace("vision_model.", "vision_model.vision_model.", 1): values
        for name, values in {**_unused(model), **model.state_dict()}.items()
        if name != "language_model.lm_head.weight"  # tied
    }
    return {name: values.detach().half().contiguous().clone() for name, values in tensors.items()}


def _unused(model: HyperClovaX) -> dict[str, torch.Tensor]:
    """Return the tower's last layer and final norm, untrained: what uses them answers nonsense."""
    torch.manual_seed(0)
    stated = {
        k: v for k, v in model.config.vision.items() if k not in ("model_type", "torch_dtype")
    }
    whole = SiglipVisionModel(SiglipVisionConfig(**stated))
    wanted = (f"encoder.layers.{model.config.layers}.", "post_layernorm.")
    return {
        f"vision_model.{name}": values
        for name, values in whole.state_dict().items()
        if name.startswith(wanted)
    }
