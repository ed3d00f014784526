"""Which Hugging Face folders the PyTorch engine serves, and that it computes what they mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.provider.errors import ModelNotLoadable
from tests.provider.asking import prompt
from tests.provider.qwen_vl_files import PREPROCESSOR, write_qwen_vl

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
transformers = pytest.importorskip("transformers", reason="pytorch: transformers is not installed")

from safetensors.numpy import load_file, save_file

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import patches, scaled
from tests.provider.hyperclovax_files import write_hyperclovax
from tests.provider.pytorch_asking import (
    answer_to,
    drawn,
    engine_of,
    picture,
    prompt_of,
    question,
    run,
    text_of,
)

# ------------------------------------------------------------------ folders of all kinds


def written(folder: Path, config: Any, **changes: Any) -> Path:
    """A folder that transformers writes, with random weights and the tiny tokenizer."""
    model = transformers.AutoModelForCausalLM.from_config(config)
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0 if parameter.ndim > 1 else 1.0, 0.2)
    write_hyperclovax(folder)
    tokenizer = (folder / "tokenizer.json").read_text()
    shutil.rmtree(folder)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer)
    stated = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(stated))
    return folder


SMALL = {
    "vocab_size": 264,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("llama", {"head_dim": 8}),
        ("hyperclovax", {"head_dim": 8, "attention_multiplier": 0.3, "logits_scaling": 0.5}),
        ("mistral", {"sliding_window": 8, "head_dim": 8}),
        ("qwen3", {"head_dim": 8, "use_sliding_window": True, "sliding_window": 8,
                   "layer_types": ["full_attention", "sliding_attention"]}),
        ("gemma2", {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}),
    ],
)  # fmt: skip
def test_a_decoder_answers_as_transformers_does(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    config = transformers.AutoConfig.for_model(kind, **SMALL | more)
    folder = written(tmp_path / "m", config)
    engine = engine_of(folder)
    asked = [prompt(text, max_tokens=12) for text in ("A first question?", "Another one, longer.")]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = []
    for one in asked:
        ids = torch.tensor([list(engine.prepare(one).tokens)])
        with torch.no_grad():
            for _ in range(12):
                ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1)[None]], dim=1)
        expected.append(ids[0, -12:].tolist())
    single = [drawn(engine, one) for one in asked]
    for tokens, wanted in zip(single, expected, strict=True):
        assert tokens == wanted[: len(tokens)]
        assert len(tokens) == 12 or engine._model.vocabulary.piece(tokens[-1]) is None
    texts = [answer_to(engine, one) for one in asked]
    together = run(engine, *asked)
    assert [text_of(together[job]) for job in range(2)] == texts


@pytest.mark.parametrize("name", ["hyperclovax_vision_v2", "vlm"])
def test_think_answers_about_pictures(tmp_path: Path, name: str) -> None:
    """HyperCLOVA X Think 32B's architecture, under the names of transformers and of the Hub."""
    folder = write_qwen_vl(tmp_path / "m")
    original = json.loads((folder / "config.json").read_text())
    config = transformers.HyperCLOVAXVisionV2Config(
        text_config={"model_type": "hyperclovax", **SMALL, "head_dim": 8},
        vision_config=original["vision_config"],
        image_token_id=261,
        video_token_id=262,
    )
    torch.manual_seed(2)
    model = transformers.HyperCLOVAXVisionV2ForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0 if parameter.ndim > 1 else 1.0, 0.15)
    model.save_pretrained(folder)
    stated = json.loads((folder / "config.json").read_text()) | {"model_type": name}
    (folder / "config.json").write_text(json.dumps(stated))
    engine = engine_of(folder)
    asked = [prompt_of(question("?", picture(n)), max_tokens=6) for n in (1, 2)]
    for one in asked:
        prepared = engine.prepare(one)
        (image,) = prepared.images
        ids = torch.tensor([[token if token >= 0 else 261 for token in prepared.tokens]])
        pixels = patches(
            scaled(image.part, image.size.width, image.size.height), Scaling.of(PREPROCESSOR)
        )
        grid = torch.tensor([[1, image.size.height // 14, image.size.width // 14]])
        with torch.no_grad():
            logits = model(ids, pixel_values=torch.from_numpy(pixels), image_grid_thw=grid).logits
        assert drawn(engine, one)[0] == int(logits[0, -1].argmax())
    assert answer_to(engine, asked[0]) != answer_to(engine, asked[1])


def refused(folder: Path) -> str:
    with pytest.raises(ModelNotLoadable) as caught:
        engine_of(folder)
    return str(caught.value)


def test_folders_that_cannot_be_served_say_why(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("llama", **SMALL)
    folder = written(tmp_path / "m", config)
    weights = load_file(folder / "model.safetensors")
    name = next(one for one in weights if "down_proj" in one)
    save_file({n: w for n, w in weights.items() if n != name}, folder / "model.safetensors")
    assert "lack or misshape" in refused(folder)
    packed = {"quant_method": "gptq", "bits": 4}
    assert "packed" in refused(written(tmp_path / "p", config, quantization_config=packed))
    own = written(tmp_path / "o", config, model_type="mine", auto_map={"AutoConfig": "m.C"})
    assert "cannot load" in refused(own)
    state = transformers.AutoConfig.for_model(
        "mamba", vocab_size=264, hidden_size=32, num_hidden_layers=2
    )
    assert refused(written(tmp_path / "s", state))
    (tmp_path / "e").mkdir()
    assert "no config.json" in refused(tmp_path / "e")
