"""Writes the trained model: Hugging Face files first, then a GGUF made from nothing but them.

Every later format starts from the same Hugging Face files, so all of them hold equal values:
float16 weights, kept as float32 in the GGUF where llama.cpp wants norms and biases that way.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from scripts.starter.conversations import END_OF_TEXT, IM_END, SPECIAL_TOKENS

DESCRIPTION = "A tiny guide to FastAPI SLLM API. It answers questions about this server, no others."


def write_hf(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save config.json, generation_config.json, model.safetensors and the tokenizer files."""
    ids = tokenizer.convert_tokens_to_ids([IM_END, END_OF_TEXT])
    model.generation_config.eos_token_id = ids
    model.generation_config.do_sample = False
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)  # the template stays in the JSON
    _name_tokenizer(folder / "tokenizer_config.json")
    for file in folder.iterdir():
        file.chmod(0o644)


def write_card(folder: Path) -> None:
    """Write the README.md that says what the folder holds and under which licence."""
    text = f"---\nlicense: mit\nlanguage: [en, ko]\n---\n# Starter\n\n{DESCRIPTION}\n"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _name_tokenizer(path: Path) -> None:
    """Name the tokenizer class that loaders other than transformers know as well."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    for private in ("backend", "is_local", "local_files_only"):
        settings.pop(private, None)
    settings["tokenizer_class"] = "Qwen2Tokenizer"
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_mlx(folder: Path, target: Path) -> None:
    """Convert the Hugging Face files in a folder with the server's own converter, as they are."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "app.provider.mlx.convert", str(folder), str(target)]
    subprocess.run([*command, "0", "-"], check=True)


def write_gguf(folder: Path, path: Path) -> None:
    """Convert the Hugging Face files in a folder into one GGUF file."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "qwen2")
    _write_facts(writer, config)
    _write_tokenizer(writer, folder)
    _write_tensors(writer, config["num_hidden_layers"], folder / "model.safetensors")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_name("Starter")
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_languages(["en", "ko"])
    writer.add_size_label("2M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


def _write_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    kinds = [
        gguf.TokenType.CONTROL if token in SPECIAL_TOKENS else gguf.TokenType.NORMAL
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(tokens.index(IM_END))
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(settings["chat_template"])


def _write_tensors(writer: gguf.GGUFWriter, blocks: int, path: Path) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, blocks)
    for name, values in load_file(path).items():
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ValueError(f"llama.cpp has no place for the tensor {name}")
        writer.add_tensor(target, values.astype(np.float32) if values.ndim == 1 else values)


def write_onnx(source: Path, target: Path) -> None:
    """Build the ONNX folder of the Hugging Face files with onnxruntime-genai's model builder.

    Weights are float32: no CPU computes in float16. The builder shares the embedding with the
    output; the tokenizer files are those of the source, as the builder writes them a bit otherwise.
    """
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    options = ["-m", source, "-o", target, "-p", "fp32", "-e", "cpu"]
    subprocess.run([*command, *map(str, options)], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, target / name)
    (target / "chat_template.jinja").unlink(missing_ok=True)  # it is in tokenizer_config.json
