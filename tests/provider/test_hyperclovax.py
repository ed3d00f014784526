"""HyperCLOVA X vision: what a picture becomes, and the model against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.provider.architectures.hyperclovax import video
from app.provider.architectures.hyperclovax.config import Video, parse_config
from app.provider.architectures.hyperclovax.tiling import Tiling, resolutions

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
pytest.importorskip("transformers", reason="pytorch: transformers is not installed")
torch.set_num_threads(1)  # several wait for each other where other programs compute, too

from safetensors.numpy import load_file, save_file

from app.provider.architectures.hyperclovax.loading import load
from app.provider.architectures.hyperclovax.model import HyperClovaX, mapped
from app.provider.architectures.hyperclovax.pixels import tiles
from tests.provider.hyperclovax_files import (
    CANVASES,
    IMAGE,
    MAIN,
    OLD,
    PREPROCESSOR,
    SIDE,
    SIZE,
    VISION,
    Layout,
    write_hyperclovax,
)
from tests.provider.hyperclovax_numpy import Reference

SIZES = [(126, 126), (90, 200), (301, 140), (64, 64), (500, 60), (700, 700)]
"""Width and height: square, tall, wide, small, a strip, large."""


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft colours, so that scaling does not decide."""
    random = np.random.default_rng(seed)
    squares = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    return squares.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hcx") / "model"
    write_hyperclovax(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> HyperClovaX:
    return load(folder, torch.float32)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return Reference(MAIN, load_file(folder / "model.safetensors"), CANVASES)


def close(ours: Any, theirs: Any, within: float = 2e-4) -> None:
    """Equal, as far as float32 can tell, relative to the largest number."""
    ours = ours.detach().float().numpy() if isinstance(ours, torch.Tensor) else ours
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= within * np.abs(theirs).max()


# ------------------------------------------------------------------ tiles and tokens


def tiling(*, unpad: bool) -> Tiling:
    """That of the published model."""
    return Tiling(378, 9, resolutions(378, 9, single=True), unpad)


def test_the_canvases_are_those_of_the_published_preprocessor() -> None:
    found = [(one.height // 378, one.width // 378) for one in tiling(unpad=True).resolutions]
    assert len(found) == 23
    assert found[:10] == [(1, n) for n in range(1, 10)] + [(2, 1)]
    assert (1, 1) not in [(r.height, r.width) for r in resolutions(1, 9, single=False)]


@pytest.mark.parametrize(
    ("width", "height", "grids", "with_unpad", "without"),
    [
        (378, 378, 2, 171, 162),
        (224, 224, 2, 171, 162),
        (640, 480, 5, 347, 405),
        (480, 640, 5, 351, 405),
        (600, 400, 5, 309, 405),
        (1280, 720, 9, 675, 729),
        (1920, 1080, 9, 675, 729),
        (1134, 1134, 10, 837, 810),
        (4000, 3000, 10, 669, 810),
        (300, 2000, 7, 621, 567),
    ],
)
def test_worked_token_counts(
    width: int, height: int, grids: int, with_unpad: int, without: int
) -> None:
    canvas = tiling(unpad=True).canvas(width, height)
    assert canvas
    rows, columns = tiling(unpad=True).grid(canvas)
    assert 1 + rows * columns == grids
    assert tiling(unpad=True).tokens(width, height) == with_unpad
    assert tiling(unpad=False).tokens(width, height) == without


def test_no_picture_has_fewer_or_more_tokens_than_the_bounds_say() -> None:
    for unpad in (True, False):
        counted = [
            tiling(unpad=unpad).tokens(width, height)
            for width in range(1, 4000, 97)
            for height in range(1, 4000, 89)
        ]
        assert min(counted) >= tiling(unpad=unpad).fewest == 81
        assert max(counted) <= tiling(unpad=unpad).most == (891 if unpad else 810)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_those_of_the_description(
    model: HyperClovaX, reference: Reference, size: tuple[int, int]
) -> None:
    shown = picture(*size)
    ours = tiles(shown, model.config.tiling, model.config.pixels)
    assert ours.dtype == np.float32
    close(ours.transpose(0, 2, 3, 1), reference.prepared(shown), 1e-6)


def test_without_anyres_a_picture_is_one_tile() -> None:
    config = parse_config(MAIN | {"anyres": False}, PREPROCESSOR)
    assert tiles(picture(90, 200), config.tiling, config.pixels).shape == (1, 3, SIZE, SIZE)
    assert config.tiling.tokens(90, 200) == SIDE**2


# ------------------------------------------------------------------ the model against numpy


@pytest.mark.parametrize("nth", [-1, -2])
def test_the_tower_ends_at_the_layer_that_the_config_names(tmp_path: Path, nth: int) -> None:
    weights = write_hyperclovax(tmp_path / "m", use_nth_layer=nth)
    model = load(tmp_path / "m", torch.float32)
    shown = Reference(MAIN | {"use_nth_layer": nth}, weights, CANVASES)
    pixels = shown.prepared(picture(90, 200))
    given = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).float()
    close(model.vision_model(given).last_hidden_state, shown.tower(pixels))


@pytest.mark.parametrize("queries", [9, 1, 81])
def test_the_projector_is_that_of_the_description(
    model: HyperClovaX, reference: Reference, queries: int
) -> None:
    features = np.random.default_rng(1).normal(0, 1, (3, 81, VISION["hidden_size"]))
    ours = model.mm_projector(torch.from_numpy(features).float(), [queries] * 3)
    close(torch.stack(ours), reference.abstractor(features, queries))


def test_tiles_with_different_queries_are_computed_as_if_alone(model: HyperClovaX) -> None:
    features = torch.randn(5, 81, VISION["hidden_size"])
    mixed = model.mm_projector(features, [9, 1, 1, 9, 1])
    assert [len(rows) for rows in mixed] == [9, 1, 1, 9, 1]
    for index, rows in enumerate(mixed):
        (alone,) = model.mm_projector(features[index : index + 1], [len(rows)])
        assert torch.allclose(rows, alone, atol=1e-5)


@pytest.mark.parametrize("unpad", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_a_picture_becomes_the_rows_of_the_description(
    tmp_path: Path, size: tuple[int, int], unpad: bool
) -> None:
    weights = write_hyperclovax(tmp_path / "m", unpad=unpad)
    model = load(tmp_path / "m", torch.float32)
    shown = picture(*size)
    pixels = torch.from_numpy(tiles(shown, model.config.tiling, model.config.pixels))
    rows = model.encode(pixels, *size)
    assert len(rows) == model.config.tiling.tokens(*size)
    close(rows, Reference(MAIN | {"unpad": unpad}, weights, CANVASES).seen(shown))


def test_a_row_of_the_canvas_goes_across_all_its_tiles() -> None:
    tiling = Tiling(2, 2, (), unpad=False)
    numbered = torch.arange(2 * 3 * 4).view(6, 4, 1)
    assert mapped(numbered, tiling, 2, 3)[0, :, 0].tolist() == [0, 1, 4, 5, 8, 9]
    assert mapped(numbered, tiling, 2, 3)[:, 0, 0].tolist() == [0, 2, 12, 14]


def prompt_of(rows: int) -> list[int]:
    """Tokens around a picture; -1 where its rows go."""
    return [257, 10, 20, *[-1] * rows, 30, 258]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("layout", ["main", "v0.1.0"])
def test_logits_are_those_of_the_description(tmp_path: Path, layout: Layout, tied: bool) -> None:
    weights = write_hyperclovax(tmp_path / "m", layout, tied=tied)
    model = load(tmp_path / "m", torch.float32)
    reference = Reference(MAIN if layout == "main" else OLD, weights, CANVASES)
    shown = picture(301, 140)
    pixels = torch.from_numpy(tiles(shown, model.config.tiling, model.config.pixels))
    rows = model.encode(pixels, *shown.size)
    tokens = prompt_of(len(rows))
    given = model.spliced(torch.tensor([IMAGE if one < 0 else one for one in tokens]), [rows])
    close(
        model.language_model(inputs_embeds=given[None]).logits[0],
        reference.logits(tokens, [reference.seen(shown)]),
    )


def test_weights_named_as_newer_transformers_do_are_the_same_model(
    tmp_path: Path, folder: Path, model: HyperClovaX
) -> None:
    weights = write_hyperclovax(tmp_path / "m")
    renamed = {name.replace("vision_model.vision_model.", "vision_model."): weight
               for name, weight in weights.items()}  # fmt: skip
    save_file(renamed, tmp_path / "m" / "model.safetensors")
    other = load(tmp_path / "m", torch.float32)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    close(other.encode(pixels, 126, 126), model.encode(pixels, 126, 126).numpy())


@pytest.mark.parametrize(("kind", "within"), [("bfloat16", 0.04), ("float16", 0.005)])
def test_half_precision_is_close_to_float32(
    folder: Path, model: HyperClovaX, kind: str, within: float
) -> None:
    """Relative to the largest logit. Eight and eleven bits of a number remain."""
    half = load(folder, getattr(torch, kind))
    shown = picture(301, 140)
    pixels = torch.from_numpy(tiles(shown, model.config.tiling, model.config.pixels))
    logits = []
    for one in (half, model):
        rows = one.encode(pixels, *shown.size)
        assert rows.dtype == one.embeddings.weight.dtype
        tokens = torch.tensor([IMAGE if t < 0 else t for t in prompt_of(len(rows))])
        logits.append(one.language_model(inputs_embeds=one.spliced(tokens, [rows])[None]).logits)
    assert {parameter.dtype for parameter in half.parameters()} == {getattr(torch, kind)}
    close(logits[0], logits[1].numpy(), within)


def test_rows_have_the_type_of_the_embeddings_whatever_looked_at_them(folder: Path) -> None:
    mixed = load(folder, torch.bfloat16)
    for part in (mixed.vision_model, mixed.mm_projector):
        part.float()
    mixed.image_newline.data = mixed.image_newline.float()
    assert mixed.encode(torch.randn(2, 3, SIZE, SIZE), 126, 126).dtype == torch.bfloat16


# ------------------------------------------------------------------ video

PUBLISHED = Video(slow=81, fast=9, first_last_slow=False, canvases=12)


@pytest.mark.parametrize(
    ("frames", "tokens"), [(1, 81), (2, 90), (9, 153), (11, 153 + 90), (108, 12 * 153)]
)
def test_frames_of_a_video_are_slow_and_fast(frames: int, tokens: int) -> None:
    assert sum(video.queries(frames, PUBLISHED)) == tokens
    assert video.queries(frames, PUBLISHED)[0] == 81


def test_only_the_first_and_the_last_frame_are_slow_where_the_config_says_so() -> None:
    setting = Video(81, 9, first_last_slow=True, canvases=12)
    assert video.queries(11, setting) == [81, *[9] * 9, 81]
    assert video.queries(1, setting) == [81]


def test_a_long_video_is_seen_evenly_from_its_first_to_its_last_frame() -> None:
    seen = video.sampled(range(1000), PUBLISHED)
    assert (len(seen), seen[0], seen[-1]) == (108, 0, 999)
    assert max(np.diff(seen)) - min(np.diff(seen)) <= 1
    assert video.sampled(range(5), PUBLISHED) == [0, 1, 2, 3, 4]


def test_frames_become_rows_in_their_order(model: HyperClovaX, reference: Reference) -> None:
    frames = [picture(80, 60, seed) for seed in range(11)]
    counts = video.queries(len(frames), model.config.video)
    rows = model.features(torch.from_numpy(video.tiles(frames, model.config)), counts)
    assert [len(one) for one in rows] == counts == [9, *[1] * 8, 9, 1]
    for frame, one, count in zip(frames, rows, counts, strict=True):
        whole = reference.prepared(frame)[:1]
        close(one, reference.abstractor(reference.tower(whole), count)[0])
