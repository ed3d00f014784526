"""Writes the trained model: Hugging Face files first, then a GGUF made from nothing but them.

Every later format starts from the same Hugging Face files, so all of them hold equal values:
float16 weights, kept as float32 in the GGUF where llama.cpp wants norms and biases that way.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import gguf
from safetensors.numpy import load_file
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from training import files
from training.starter.conversations import END_OF_TEXT, IM_END, SPECIAL_TOKENS

DESCRIPTION = "A tiny guide to FastAPI SLLM API. It answers questions about this server, no others."


def write_hf(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save config.json, generation_config.json, model.safetensors and the tokenizer files."""
    ids = tokenizer.convert_tokens_to_ids([IM_END, END_OF_TEXT])
    model.generation_config.eos_token_id = ids
    model.generation_config.do_sample = False
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)  # the template stays in the JSON
    files.name_tokenizer(folder / "tokenizer_config.json", "Qwen2Tokenizer")
    for file in folder.iterdir():
        file.chmod(0o644)


def write_card(folder: Path) -> None:
    """Write the README.md that says what the folder holds and under which licence."""
    text = f"---\nlicense: mit\nlanguage: [en, ko]\n---\n# Starter\n\n{DESCRIPTION}\n"
    (folder / "README.md").write_text(text, encoding="utf-8")


def write_mlx(folder: Path, target: Path) -> None:
    """Convert the Hugging Face files in a folder with the server's own converter, as they are."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "app.provider.engines.mlx.convert", str(folder), str(target)]
    subprocess.run([*command, "0", "-"], check=True)


def write_gguf(folder: Path, path: Path) -> None:
    """Convert the Hugging Face files in a folder into one GGUF file."""
    config = files.read_json(folder / "config.json")
    template = files.read_json(folder / "tokenizer_config.json")["chat_template"]
    writer = gguf.GGUFWriter(path, "qwen2")
    files.add_facts(writer, "Starter", DESCRIPTION, "2M")
    files.add_shape(writer, config, config["max_position_embeddings"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    files.add_tokenizer(writer, folder, SPECIAL_TOKENS, template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, values in load_file(folder / "model.safetensors").items():
        files.add_tensor(writer, files.place(names, name), values)
    files.finish(writer)


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
