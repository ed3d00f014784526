"""The exported files belong together, say the same, and one engine answers with them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from training.vision_starter.chatml import CHAT_TEMPLATE, SPECIAL_TOKENS
from training.vision_starter.conversations import held_out_cases
from training.vision_starter.engine_llama import answerer

MODELS = Path("models")
HF, MLX = MODELS / "starter-vision-hf", MODELS / "starter-vision-mlx"
HCX = MODELS / "starter-vision-hyperclovax"
WORDS, MMPROJ = MODELS / "starter-vision.gguf", MODELS / "mmproj-starter-vision.gguf"
FILES = [WORDS, MMPROJ, *HF.iterdir(), *MLX.iterdir(), *HCX.iterdir()]
ENOUGH = 0.95


def tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read float16 tensors from the bytes of a safetensors file."""
    raw = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    assert header.pop("__metadata__")["format"] == ("mlx" if folder == MLX else "pt")
    return {
        name: np.frombuffer(raw[8 + size :][slice(*facts["data_offsets"])], np.float16).reshape(
            facts["shape"]
        )
        for name, facts in header.items()
    }


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_all_files_together_are_small_and_readable_by_everyone() -> None:
    assert sum(file.stat().st_size for file in FILES) < 15_000_000
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in FILES)


@pytest.mark.parametrize("folder", [HF, MLX, HCX])
def test_every_folder_has_a_card_with_a_licence(folder: Path) -> None:
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: mit\n")


def test_gguf_and_hugging_face_files_hold_the_same_values() -> None:
    theirs = tensors(HF)
    words = {tensor.name: tensor.data for tensor in GGUFReader(WORDS).tensors}
    mmproj = {tensor.name: tensor.data for tensor in GGUFReader(MMPROJ).tensors}
    embedding = theirs["model.embed_tokens.weight"]
    assert np.array_equal(words["token_embd.weight"], embedding)
    qkv = theirs["visual.blocks.1.attn.qkv.weight"]
    assert np.array_equal(mmproj["v.blk.1.attn_k.weight"], qkv[len(qkv) // 3 : 2 * len(qkv) // 3])
    frames = theirs["visual.patch_embed.proj.weight"]
    assert np.array_equal(mmproj["v.patch_embd.weight.1"].ravel(), frames[:, :, 1].ravel())
    stored = sum(values.size for values in (*words.values(), *mmproj.values()))
    assert stored == sum(values.size for values in theirs.values())


def test_mlx_and_hugging_face_files_hold_the_same_values() -> None:
    ours, theirs = tensors(MLX), tensors(HF)
    assert sum(values.size for values in ours.values()) == sum(v.size for v in theirs.values())
    for name in ("tokenizer.json", "chat_template.jinja", "preprocessor_config.json"):
        assert (MLX / name).read_bytes() == (HF / name).read_bytes()


def test_the_gguf_has_the_template_and_the_special_tokens() -> None:
    fields = GGUFReader(WORDS).fields
    assert fields["tokenizer.chat_template"].contents() == CHAT_TEMPLATE
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert {t for t, kind in zip(tokens, kinds, strict=True) if kind == 3} == set(SPECIAL_TOKENS)
    assert (HF / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE


def test_the_projector_file_says_what_llama_needs() -> None:
    fields = GGUFReader(MMPROJ).fields
    assert fields["general.type"].contents() == "mmproj"
    assert fields["clip.vision.n_wa_pattern"].contents() == 0
    most = fields["clip.vision.image_max_pixels"].contents()
    assert most == read(HF / "preprocessor_config.json")["max_pixels"] == 49 * 28 * 28


def test_the_hyperclovax_folder_names_its_parts_as_the_family_does() -> None:
    config, names = read(HCX / "config.json"), set(tensors(HCX))
    assert config["model_type"] == "hyperclovax_vlm"
    assert config["anyres"] is config["unpad"] is True
    assert "vision_model.vision_model.encoder.layers.3.mlp.fc1.weight" in names
    assert "mm_projector.net.2.b3.se.fc2.bias" in names
    assert {"image_newline", "mm_projector.pos_emb"} <= names
    assert "<|dummy3|>" in (HCX / "chat_template.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", [HF, HCX])
def test_the_measured_figures_are_good_enough(folder: Path) -> None:
    report = (folder / "EVALUATION.md").read_text(encoding="utf-8")
    shares = [float(share) for share in re.findall(r"([\d.]+) %", report.split("| all |")[1])]
    assert shares
    assert min(shares) >= 100 * ENOUGH


def test_held_out_questions_get_the_right_answer() -> None:
    answer, cases = answerer(MODELS), held_out_cases(104, seed=3)
    right = [answer(case) == case.answer for case in cases]
    assert sum(right) >= ENOUGH * len(cases), f"{sum(right)} of {len(cases)}"
