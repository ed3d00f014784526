"""The starter is measured with questions it never saw, and its files say the same thing."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from training.starter.corpus import LANGUAGES, entries, held_out, held_out_keys, normalise
from training.starter.questions import ask

MODELS = Path("models")
HF = MODELS / "starter-hf"


@pytest.fixture(scope="module")
def gguf() -> Any:
    return GGUFReader(MODELS / "starter.gguf")


def test_a_held_out_question_is_never_trained() -> None:
    random = Random(1)
    for entry in entries():
        varied = [ask(entry, random) for _ in range(10)]
        seen = {normalise(question) for question in (*entry.asked, *entry.framed, *varied)}
        assert seen.isdisjoint(held_out_keys()), entry.intent


def test_every_answer_is_measured_in_both_languages() -> None:
    asked = [(item.intent, item.language) for item in held_out()]
    for entry in entries():
        assert entry.language in LANGUAGES
        assert asked.count((entry.intent, entry.language)) >= 2, entry.intent


def test_answers_are_short_and_each_is_one_answer() -> None:
    answers = [entry.answer for entry in entries()]
    assert len(set(answers)) == len(answers) >= 200
    assert max(map(len, answers)) <= 210


def test_no_question_has_two_answers() -> None:
    answers: dict[str, str] = {normalise(item.question): item.answer for item in held_out()}
    for entry in entries():
        for question in (*entry.asked, *entry.framed):
            assert answers.setdefault(normalise(question), entry.answer) == entry.answer, question


def test_the_shipped_files_stay_small() -> None:
    files = [MODELS / "starter.gguf", *HF.iterdir()]
    assert sum(file.stat().st_size for file in files) < 8_000_000


def test_the_gguf_says_what_it_is(gguf: Any) -> None:
    config = json.loads((HF / "config.json").read_text())
    facts = {key: field.contents() for key, field in gguf.fields.items()}
    assert facts["general.architecture"] == config["model_type"] == "qwen2"
    assert facts["qwen2.context_length"] == config["max_position_embeddings"] == 4096
    assert facts["tokenizer.ggml.eos_token_id"] == config["eos_token_id"]
    assert facts["general.license"] == "mit"


def test_the_gguf_has_the_same_tokenizer(gguf: Any) -> None:
    tokenizer = json.loads((HF / "tokenizer.json").read_text())["model"]
    settings = json.loads((HF / "tokenizer_config.json").read_text())
    facts = {key: field.contents() for key, field in gguf.fields.items()}
    assert {token: i for i, token in enumerate(facts["tokenizer.ggml.tokens"])} == tokenizer[
        "vocab"
    ]
    assert facts["tokenizer.ggml.merges"] == [" ".join(pair) for pair in tokenizer["merges"]]
    assert facts["tokenizer.chat_template"] == settings["chat_template"]


def test_the_gguf_has_the_same_weights(gguf: Any) -> None:
    held = {tensor.name: np.asarray(tensor.data) for tensor in gguf.tensors}
    weights = _safetensors(HF / "model.safetensors")
    assert len(held) == len(weights)
    assert np.array_equal(held["token_embd.weight"], weights["model.embed_tokens.weight"])
    last = "model.layers.3.self_attn.q_proj.bias"
    assert np.array_equal(held["blk.3.attn_q.bias"], weights[last].astype(np.float32))


def _safetensors(path: Path) -> dict[str, Any]:
    """Read float16 tensors: a length, a JSON header, then the numbers."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[start:][slice(*facts["data_offsets"])], np.float16).reshape(
            facts["shape"]
        )
        for name, facts in header.items()
    }
