"""Writes a model for onnxruntime-genai that sees pictures, small enough to be computed by hand.

It has the three graphs of real exports of Qwen2.5-VL. A picture's token is the sum of what its
patches are, a token counts by its position in all three dimensions, and pays the same attention to
every token before it. So an answer depends on every pixel, on where the pictures stand and on
the whole conversation, and ``likeliest`` says with numpy alone what it must be.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import patches, positions, scaled
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.types import ImagePart
from tests.provider.asking import STARTERS
from tests.provider.graph_files import FLOAT, INT64, GraphWriter

SPECIALS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")
PLAIN, WIDTH, PATCH = 3072, 16, 3 * 2 * 14 * 14
START, PAD, END, VIDEO = range(PLAIN, PLAIN + len(SPECIALS))
WORDS = PLAIN + len(SPECIALS)
CONTEXT = 1024
ENDS = (2, 0)
SCALING = Scaling(min_pixels=4 * 784, max_pixels=64 * 784)

Numbers = npt.NDArray[Any]


@cache
def _weights() -> dict[str, Numbers]:
    dice = np.random.default_rng(30)
    words, next_words = dice.standard_normal((2, WORDS, WIDTH))
    next_words[PLAIN:] = 0  # control tokens are not said
    made = {
        "see": dice.standard_normal((PATCH, WIDTH)) / 20,
        "words": words,
        "next_words": next_words.T,
        "speeds": np.array([0.11, 0.37, 0.73]).reshape(3, 1, 1),
    }
    return {name: np.ascontiguousarray(values, np.float32) for name, values in made.items()}


def likeliest(tokens: Sequence[int], pictures: Sequence[ImagePart], count: int) -> list[int]:
    """The ``count`` tokens that follow the prompt at temperature 0, or fewer before an end.

    ``tokens`` have one place for each token of a picture.
    """
    weights, prompt = _weights(), np.array(tokens)
    given = weights["words"][prompt]
    seen = [_seen(picture) for picture in pictures]
    if seen:
        given[prompt == PAD] = np.concatenate([features for _, features in seen])
    found = positions(len(prompt), _placed(prompt, pictures, seen), SCALING.side)
    given = given * _strength(found)
    answer: list[int] = []
    for number in range(count):
        state = given.mean(axis=0, dtype=np.float64) + given[-1]
        answer.append(int((state @ weights["next_words"]).argmax()))
        if answer[-1] in ENDS:
            return answer[:-1]
        moved = np.full((3, 1), found.max() + 1 + number)
        given = np.concatenate([given, weights["words"][answer[-1:]] * _strength(moved)])
    return answer


def _seen(picture: ImagePart) -> tuple[ImageSize, Numbers]:
    width, height = SCALING.size(picture.width, picture.height)
    across, down = width // SCALING.side, height // SCALING.side
    found = patches(scaled(picture, width, height), SCALING) @ _weights()["see"]
    size = ImageSize(width, height, across * down, max(across, down))
    return size, found.reshape(across * down, 4, WIDTH).sum(axis=1)


def _placed(
    prompt: Numbers, pictures: Sequence[ImagePart], seen: Sequence[tuple[ImageSize, Numbers]]
) -> list[PlacedImage]:
    starts = np.flatnonzero(prompt == START) + 1
    sizes = (size for size, _ in seen)
    return [PlacedImage(*one) for one in zip(pictures, starts.tolist(), sizes, strict=True)]


def _strength(places: Numbers) -> Numbers:
    angles = (places * _weights()["speeds"][:, :, 0]).sum(axis=0)
    strength: Numbers = 1 + np.sin(angles)[:, None]
    return strength


# ---------------------------------------------------------------- the folder


def write_vision_model(
    folder: Path, kind: str = "qwen2_5_vl", *, patches_of_token: int = 4, **changes: Any
) -> Path:
    """A folder with the starter's words and four tokens more; ``changes`` to the model.

    With other than 4 ``patches_of_token`` it makes too many or too few tokens of pictures.
    """
    folder.mkdir(parents=True)
    graphs = {"vision": _vision(patches_of_token), "embedding": _embedding(), "decoder": _decoder()}
    for name, graph in graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph)
    _write_tokenizer(folder)
    (folder / "processor_config.json").write_text(json.dumps(_processor()))
    search = {"max_length": CONTEXT, "do_sample": False, "past_present_share_buffer": False}
    config = {"model": _model(kind) | changes, "search": search}
    (folder / "genai_config.json").write_text(json.dumps(config))
    return folder


def _write_tokenizer(folder: Path) -> None:
    shutil.copy(STARTERS["onnx"] / "tokenizer_config.json", folder)
    tokenizer = json.loads((STARTERS["onnx"] / "tokenizer.json").read_text())
    like = tokenizer["added_tokens"][0]
    for number, text in enumerate(SPECIALS, PLAIN):
        tokenizer["added_tokens"].append({**like, "id": number, "content": text})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def _model(kind: str) -> dict[str, Any]:
    sizes = {"num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1}
    reads = ("inputs_embeds", "attention_mask", "position_ids")
    decoder = sizes | {
        "filename": "decoder.onnx",
        "session_options": {"provider_options": []},
        "head_size": WIDTH,
        "hidden_size": WIDTH,
        "inputs": {name: name for name in reads}
        | {f"past_{which}_names": f"past_key_values.%d.{which}" for which in ("key", "value")},
        "outputs": {"logits": "logits"}
        | {f"present_{which}_names": f"present.%d.{which}" for which in ("key", "value")},
    }
    return {
        "type": kind,
        "bos_token_id": 1,
        "eos_token_id": list(ENDS),
        "pad_token_id": 0,
        "vision_start_token_id": START,
        "image_token_id": PAD,
        "video_token_id": VIDEO,
        "vocab_size": WORDS,
        "context_length": CONTEXT,
        "decoder": decoder,
        "embedding": _part("embedding", ("input_ids", "image_features"), "inputs_embeds"),
        "vision": _part("vision", ("pixel_values", "image_grid_thw"), "image_features")
        | {"session_options": {"provider_options": []}},
    }


def _part(name: str, reads: Sequence[str], gives: str) -> dict[str, Any]:
    named = {"inputs": {one: one for one in reads}, "outputs": {gives: gives}}
    return {"filename": f"{name}.onnx", **named}


def _processor() -> dict[str, Any]:
    bounds = {"min_pixels": SCALING.min_pixels, "max_pixels": SCALING.max_pixels}
    cut = {"patch_size": SCALING.patch, "merge_size": SCALING.merge}
    steps: dict[str, dict[str, Any]] = {
        "DecodeImage": {"color_space": "RGB"},
        "ConvertRGB": {},
        "Resize": {"width": 540, "height": 360, "smart_resize": 1} | bounds | cut,
        "Rescale": {"rescale_factor": 1 / 255},
        "Normalize": {"mean": SCALING.mean, "std": SCALING.std, "qwen2_5_vl": 1},
        "PatchImage": {"temporal_patch_size": SCALING.frames} | cut,
    }
    named = [{"name": kind.lower(), "type": kind, "attrs": attrs} for kind, attrs in steps.items()]
    operations = [{key: value for key, value in one.items() if value} for one in named]
    transforms = [{"operation": one} for one in operations]
    return {"processor": {"name": "qwen2_5_image_processor", "transforms": transforms}}


# ---------------------------------------------------------------- the graphs


def _vision(patches_of_token: int) -> bytes:
    graph = GraphWriter()
    by_token = {"by_token": np.array([-1, patches_of_token, WIDTH]), "at_1": np.array([1])}
    graph.constants({"see": _weights()["see"]} | by_token)
    graph.reads("pixel_values", FLOAT, "patches", PATCH)
    graph.reads("image_grid_thw", INT64, "images", 3)
    graph.gives("image_features", FLOAT, "tokens", WIDTH)
    graph.nodes("""
seen;MatMul;pixel_values see
tiles;Reshape;seen by_token
image_features;ReduceSum;tiles at_1;keepdims=0
""")
    return graph.model("vision")


def _embedding() -> bytes:
    graph = GraphWriter()
    graph.constants({"words": _weights()["words"], "pad": np.int64(PAD)})
    graph.reads("input_ids", INT64, "batch", "length")
    graph.reads("image_features", FLOAT, "tokens", WIDTH)
    graph.gives("inputs_embeds", FLOAT, "batch", "length", WIDTH)
    graph.nodes("""
plain;Gather;words input_ids
is_pad;Equal;input_ids pad
places_across;NonZero;is_pad
places;Transpose;places_across
inputs_embeds;ScatterND;plain places image_features
""")
    return graph.model("embedding")


def _decoder() -> bytes:
    graph = GraphWriter()
    names = ("next_words", "speeds")
    numbers = {"one": np.int64(1), "two": np.int64(2)}
    places = {f"at_{place}": np.array([place]) for place in range(3)}
    graph.constants({name: _weights()[name] for name in names} | numbers | places)
    graph.reads("inputs_embeds", FLOAT, "batch", "length", WIDTH)
    graph.reads("attention_mask", INT64, "batch", "total")
    graph.reads("position_ids", INT64, 3, "batch", "length")
    for which in ("key", "value"):
        graph.reads(f"past_key_values.0.{which}", FLOAT, "batch", 1, "past", WIDTH)
        graph.gives(f"present.0.{which}", FLOAT, "batch", 1, "total", WIDTH)
    graph.gives("logits", FLOAT, "batch", "length", WORDS)
    graph.nodes(_DECODER)
    return graph.model("decoder")


_DECODER = f"""
places;Cast;position_ids;to={FLOAT}
turns;Mul;places speeds
angles;ReduceSum;turns at_0;keepdims=0
waves;Sin;angles
waves_deep;Unsqueeze;waves at_2
moves;Mul;waves_deep inputs_embeds
given;Add;inputs_embeds moves
one_head;Unsqueeze;given at_1
present.0.key;Concat;past_key_values.0.key one_head;axis=2
present.0.value;Concat;past_key_values.0.value one_head;axis=2
sums;CumSum;present.0.value two
present_shape;Shape;present.0.value
total;Gather;present_shape two
past_shape;Shape;past_key_values.0.value
past;Gather;past_shape two
own;Range;past total one
own_sums_deep;Gather;sums own;axis=2
own_sums;Squeeze;own_sums_deep at_1
lengths;Add;own one
lengths_float;Cast;lengths;to={FLOAT}
lengths_down;Unsqueeze;lengths_float at_1
mean;Div;own_sums lengths_down
state;Add;mean given
logits;MatMul;state next_words
"""
