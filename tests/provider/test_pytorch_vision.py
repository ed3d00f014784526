"""The PyTorch engine and pictures: HyperCLOVA X and Qwen2.5-VL."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.provider.errors import UnsupportedInput
from app.provider.types import Delta, End, ImagePart
from tests.provider.qwen_vl_files import PREPROCESSOR, write_qwen_vl

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
transformers = pytest.importorskip("transformers", reason="pytorch: transformers is not installed")


from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import patches, scaled
from app.provider.engines.pytorch.engine import PytorchEngine
from tests.provider.hyperclovax_files import CANVASES, MAIN, write_hyperclovax
from tests.provider.hyperclovax_numpy import Reference
from tests.provider.pytorch_asking import (
    answer_to,
    drawn,
    engine_of,
    is_looking,
    looks,
    picture,
    prompt_of,
    question,
    run,
    soft,
    started,
    text_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hcx") / "model"
    write_hyperclovax(path)
    return path


@pytest.fixture
def engine(folder: Path) -> PytorchEngine:
    return engine_of(folder)


# ------------------------------------------------------------------ answers about pictures


@pytest.mark.parametrize("layout", ["main", "v0.1.0"])
def test_an_answer_about_pictures_is_what_numpy_computes(tmp_path: Path, layout: Any) -> None:
    weights = write_hyperclovax(tmp_path / "m", layout)
    engine = engine_of(tmp_path / "m")
    pair = [soft(1, 126, 100), soft(2, 90, 200)]
    prepared = engine.prepare(prompt_of(question("Which?", *pair)))
    reference = Reference(MAIN, weights, CANVASES)
    rows = [reference.seen(Image.open(BytesIO(one.content))) for one in pair]
    tokens, expected = list(prepared.tokens), []
    for _ in range(3):
        expected.append(int(reference.logits(tokens, rows)[-1].argmax()))
        tokens.append(expected[-1])
    assert drawn(engine, prompt_of(question("Which?", *pair), max_tokens=3)) == expected
    images = [(one.part.sha256, one.size.tokens) for one in prepared.images]
    assert images == [(seen.sha256, len(one)) for seen, one in zip(pair, rows, strict=True)]


def test_answers_at_once_with_different_pictures_do_not_mix(engine: PytorchEngine) -> None:
    asked = [
        prompt_of(question("What is it?", soft(1, 200, 90))),
        prompt_of(question("What is it?", soft(2, 90, 200))),
        prompt_of(question("What is it?", soft(3, 64, 64), soft(1, 200, 90))),
        prompt_of(question("What is it?")),
    ]
    alone = [answer_to(engine, one) for one in asked]
    assert len(set(alone)) == 4
    together = run(engine, *asked)
    assert [text_of(together[job]) for job in range(4)] == alone


def test_a_picture_of_the_conversation_is_looked_at_once(
    engine: PytorchEngine, folder: Path
) -> None:
    first = question("What is it?", soft(1, 200, 90))
    seen = looks(engine)
    answer = answer_to(engine, prompt_of(first))
    later = prompt_of(first, answer, question("And this?", soft(2, 90, 200)))
    events = run(engine, later)[0]
    assert started(events).cached_tokens >= started(events).images[0].tokens
    assert seen == [soft(1, 200, 90).sha256, soft(2, 90, 200).sha256]
    other = prompt_of(("Now before it: what is it?", soft(1, 200, 90)))
    run(engine, other)
    assert len(seen) == 2
    fresh = engine_of(folder, prefix_cache_bytes=0, vision_cache_bytes=0)
    assert answer_to(fresh, later) == text_of(events)


def test_half_a_picture_is_not_used_again(engine: PytorchEngine) -> None:
    asked = prompt_of(question("What is it?", soft(1, 200, 90)))
    (image,) = engine.prepare(asked).images
    budget = engine._scheduler._budget
    budget.prompt_tokens = lambda running, longest: 7  # type: ignore[method-assign]
    assert engine.admit(0, engine.prepare(asked))
    while not engine._scheduler._sequences:
        engine.step()
    sequence = engine._scheduler._sequences[0]
    while len(sequence.tokens) <= image.start:
        engine.step()
    assert len(sequence.tokens) < image.end
    engine.drop(0)
    assert started(run(engine, asked)[0]).cached_tokens == image.start


def test_owners_share_neither_prefixes_nor_features(engine: PytorchEngine) -> None:
    seen = looks(engine)
    asked = question("What is it?", soft(1, 200, 90))
    run(engine, prompt_of(asked, owner="a"))
    events = run(engine, prompt_of(asked, owner="b"))[0]
    assert started(events).cached_tokens == 0
    assert len(seen) == 2


def test_a_running_answer_goes_on_while_a_picture_is_looked_at(engine: PytorchEngine) -> None:
    one_piece_a_step(engine)
    assert engine.admit(0, engine.prepare(prompt_of(question("Talk."), max_tokens=200)))
    while not any(isinstance(event, Delta) for _, event in engine.step()):
        pass
    assert engine.admit(1, engine.prepare(prompt_of(question("?", soft(1, 200, 90)))))
    between = 0
    while 1 in engine._scheduler._admitted or is_looking(engine):
        events = engine.step()
        between += any(job == 0 for job, _ in events)
    assert between >= 4
    engine.drop(0)
    engine.drop(1)


def one_piece_a_step(engine: PytorchEngine) -> None:
    """Look at one layer of one tile in each step, however fast this machine is."""
    budget = engine._scheduler._budget
    budget.spare_seconds = lambda running: 0.0  # type: ignore[method-assign]


def test_a_cancelled_look_is_given_up(engine: PytorchEngine) -> None:
    one_piece_a_step(engine)
    assert engine.admit(0, engine.prepare(prompt_of(question("Talk."), max_tokens=200)))
    assert engine.admit(1, engine.prepare(prompt_of(question("?", soft(4, 500, 500)))))
    engine.step()
    engine.step()
    assert is_looking(engine)
    engine.drop(1)
    assert not is_looking(engine)
    engine.drop(0)
    assert answer_to(engine, prompt_of(question("?", soft(4, 500, 500))))


def test_a_picture_that_cannot_be_read_ends_its_own_request(engine: PytorchEngine) -> None:
    broken = ImagePart(b"no picture", "0" * 64, 90, 90)
    events = run(engine, prompt_of(question("?", broken)), prompt_of(question("Hello.")))
    assert isinstance(events[0][-1], UnsupportedInput)
    assert isinstance(events[1][-1], End)


def test_half_precision_answers_as_well(folder: Path) -> None:
    for kind in ("bfloat16", "float16"):
        engine = engine_of(folder, torch_dtype=kind)
        assert str(engine._model.decoder.dtype) == f"torch.{kind}"
        asked = prompt_of(question("What is it?", soft(1, 200, 90)), max_tokens=4)
        assert isinstance(run(engine, asked)[0][-1], End)


# ------------------------------------------------------------------ Qwen2.5-VL


def test_qwen_vl_answers_as_transformers_does(tmp_path: Path) -> None:
    folder = write_qwen_vl(tmp_path / "m")
    engine = engine_of(folder)
    asked = prompt_of(question("Which?", picture(1), picture(2, 200, 90)), max_tokens=8)
    prepared = engine.prepare(asked)
    scaling = Scaling.of(PREPROCESSOR)
    sizes = [(one.size.width, one.size.height) for one in prepared.images]
    pixels = [
        patches(scaled(one.part, *size), scaling)
        for one, size in zip(prepared.images, sizes, strict=True)
    ]
    ids = torch.tensor([[token if token >= 0 else 261 for token in prepared.tokens]])
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == 261).long(),
            pixel_values=torch.from_numpy(np.concatenate(pixels)),
            image_grid_thw=torch.tensor([[1, tall // 14, wide // 14] for wide, tall in sizes]),
            max_new_tokens=8,
            do_sample=False,
        )
    assert drawn(engine, asked) == output[0, ids.shape[1] :].tolist()


def test_pictures_of_qwen_vl_do_not_mix(tmp_path: Path) -> None:
    engine = engine_of(write_qwen_vl(tmp_path / "m"), image_tokens=16)
    asked = [prompt_of(question("?", picture(n, 300, 200))) for n in range(3)]
    assert all(engine.prepare(one).images[0].size.tokens <= 16 for one in asked)
    alone = [answer_to(engine, one) for one in asked]
    assert len(set(alone)) == 3
    together = run(engine, *asked)
    assert [text_of(together[job]) for job in range(3)] == alone
