"""Writes the trained model: Hugging Face files first, every other format from nothing but them.

So all formats hold equal values: float16 weights, kept as float32 in GGUF files where llama.cpp
wants norms and biases that way.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file
from transformers import PreTrainedTokenizerFast

from training import files
from training.vision_starter.card import write_card
from training.vision_starter.chatml import CONTEXT, SPECIAL_TOKENS
from training.vision_starter.network import Network
from training.vision_starter.pictures import DEVIATION, MAX_PIXELS, MEAN, MERGE, MIN_PIXELS, PATCH

DESCRIPTION = (
    "A tiny model that names colour, shape, number and place of objects in simple drawings, "
    "in English and Korean. It knows nothing else."
)
BOTH = ("eos_token_id", "pad_token_id")  # where transformers keeps them in the text's section
Tensors = dict[str, np.ndarray]


def write_all(network: Network, tokenizer: PreTrainedTokenizerFast, models: Path) -> None:
    """Write every format into a folder, with its card."""
    source, mlx = models / "starter-vision-hf", models / "starter-vision-mlx"
    write_hf(network, tokenizer, source)
    write_gguf(source, models / "starter-vision.gguf")
    write_mmproj(source, models / "mmproj-starter-vision.gguf")
    write_mlx(source, mlx)
    for folder in (source, mlx):
        write_card(folder)


def install(made: Path, models: Path) -> None:
    """Move what was written to where it is used: whole folders and files, replacing older ones."""
    for path in list(made.iterdir()):
        target, old = models / path.name, made / f"old-{path.name}"
        for file in (path, *path.rglob("*")):
            file.chmod(0o755 if file.is_dir() else 0o644)
        if target.exists():
            target.rename(old)
        path.rename(target)


def write_hf(network: Network, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the model in the layout that Qwen2.5-VL has on the Hub, which every loader reads."""
    folder.mkdir(parents=True)
    save_file(_tensors(network), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    files.name_tokenizer(folder / "tokenizer_config.json", "Qwen2Tokenizer")
    config = _config(network)
    ids = [config["eos_token_id"], config["pad_token_id"]]
    files.write_json(folder / "config.json", config)
    files.write_json(folder / "preprocessor_config.json", _preprocessor())
    files.write_json(
        folder / "generation_config.json",
        {"do_sample": False, "eos_token_id": ids, "pad_token_id": ids[1]},
    )


def _tensors(network: Network) -> Tensors:
    """Return the weights under the names of the Hub; tied output weights are not stored."""
    return {
        name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): (
            values.detach().half().numpy().copy()
        )
        for name, values in network.state_dict().items()
        if name != "lm_head.weight"
    }


def _config(network: Network) -> dict[str, Any]:
    """Return config.json as the Hub has it: the text's settings at the top, not in a section."""
    config = network.config
    text, vision = config.text_config, config.vision_config
    rope = text.rope_parameters
    from_text = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    from_text += ("num_attention_heads", "num_key_value_heads", "hidden_act", "rms_norm_eps")
    from_text += ("max_position_embeddings",)
    from_vision = ("depth", "hidden_size", "hidden_act", "intermediate_size", "num_heads")
    from_vision += ("out_hidden_size", "patch_size", "spatial_merge_size", "temporal_patch_size")
    from_vision += ("window_size", "tokens_per_second")
    tokens = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens += ("eos_token_id", "pad_token_id")
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        **{name: getattr(text, name) for name in from_text},
        **{name: getattr(text if name in BOTH else config, name) for name in tokens},
        "bos_token_id": None,
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "torch_dtype": "float16",
        "vision_config": {
            "model_type": "qwen2_5_vl",
            **{name: getattr(vision, name) for name in from_vision},
            "fullatt_block_indexes": list(vision.fullatt_block_indexes),
            "in_chans": 3,
            "spatial_patch_size": PATCH,
        },
    }


def _preprocessor() -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": 2,
        "image_mean": MEAN,
        "image_std": DEVIATION,
    }


def write_mlx(folder: Path, target: Path) -> None:
    """Write the MLX folder with mlx-vlm's converter, float16, and the files it leaves out."""
    command = [sys.executable, "-m", "mlx_vlm.convert", "--dtype", "float16"]
    subprocess.run([*command, "--hf-path", folder, "--mlx-path", target], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(folder / name, target / name)
    for name in ("preprocessor_config.json", "chat_template.jinja", "config.json"):
        shutil.copyfile(folder / name, target / name)
    for extra in ("README.md", "model.safetensors.index.json"):
        (target / extra).unlink(missing_ok=True)


def write_gguf(folder: Path, path: Path) -> None:
    """Write the text half of the Hugging Face files as a GGUF file."""
    config = files.read_json(folder / "config.json")
    writer = gguf.GGUFWriter(path, "qwen2vl")
    files.add_facts(writer, "Starter Vision", DESCRIPTION, "1M")
    files.add_shape(writer, config, CONTEXT)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_sections([*config["rope_scaling"]["mrope_section"], 0])
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    files.add_tokenizer(writer, folder, SPECIAL_TOKENS, template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2VL, config["num_hidden_layers"])
    for name, values in load_file(folder / "model.safetensors").items():
        if not name.startswith("visual."):
            files.add_tensor(writer, files.place(names, name), values)
    files.finish(writer)


def write_mmproj(folder: Path, path: Path) -> None:
    """Write the vision tower of the Hugging Face files as an ``mmproj`` GGUF file."""
    config = files.read_json(folder / "config.json")
    vision = config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    files.add_facts(writer, "Starter Vision", DESCRIPTION, "1M")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.QWEN25VL)
    writer.add_vision_projection_dim(config["hidden_size"])
    writer.add_vision_image_size(560)  # only for reserving memory
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_spatial_merge_size(MERGE)
    writer.add_vision_embedding_length(vision["hidden_size"])
    writer.add_vision_feed_forward_length(vision["intermediate_size"])
    writer.add_vision_block_count(vision["depth"])
    writer.add_vision_head_count(vision["num_heads"])
    writer.add_vision_attention_layernorm_eps(config["rms_norm_eps"])
    writer.add_vision_image_mean(MEAN)
    writer.add_vision_image_std(DEVIATION)
    writer.add_vision_min_pixels(MIN_PIXELS)
    writer.add_vision_max_pixels(MAX_PIXELS)
    writer.add_vision_use_silu(True)
    writer.add_vision_n_wa_pattern(0)  # no windows; 1 would make llama.cpp abort
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, vision["depth"])
    for name, values in load_file(folder / "model.safetensors").items():
        if name.startswith("visual."):
            for part, numbers in _parts(names, name, values).items():
                files.add_tensor(writer, part, numbers)
    files.finish(writer)


def _parts(names: gguf.TensorNameMap, name: str, values: np.ndarray) -> Tensors:
    """Return a tensor as llama.cpp has it: attention and the frames of a patch taken apart."""
    if "patch_embed" in name:
        return {f"v.patch_embd.weight{end}": values[:, :, i] for i, end in ((0, ""), (1, ".1"))}
    if ".qkv." in name:
        thirds = zip("qkv", np.split(values, 3), strict=True)
        return {files.place(names, name.replace("qkv", letter)): part for letter, part in thirds}
    return {files.place(names, name): values}
