"""Computes the references of the tiny encoders with the code of transformers and its friends.

Run by hand, in an environment of its own with ``torch``, ``transformers``, ``sentencepiece`` and
``sentence-transformers``: ``python -m tests.encoders.make [FAMILY …]``.
It writes ``tensors.json``, ``references/*.npz`` and ``references/versions.json``.
Nothing of this project computes here, but for the files of ``write_checkpoint``.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import CrossEncoder, SentenceTransformer

from tests.encoders.checkpoints import FAMILIES, HERE, SHAPES, write_checkpoint
from tests.encoders.family import Family
from tests.encoders.inputs import LONG, LONG_PAIRS, PAIRS, TEXTS, images

LIBRARIES = ("numpy", "pillow", "sentence-transformers", "tokenizers", "torch")
PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
ASKED = f"<Instruct>: {INSTRUCTION}\n<Query>: {{}}\n"
Arrays = dict[str, NDArray[Any]]


def main(names: list[str]) -> None:
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    _write(SHAPES, {name: shapes(family) for name, family in FAMILIES.items()})
    (HERE / "references").mkdir(exist_ok=True)
    for name in names or FAMILIES:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            found = references(name, Path(folder) / name)
        np.savez_compressed(HERE / "references" / f"{name}.npz", allow_pickle=False, **found)
        print(name, {key: value.shape for key, value in found.items()})  # noqa: T201
    versions = {library: version(library) for library in (*LIBRARIES, "transformers")}
    _write(HERE / "references" / "versions.json", versions)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def shapes(family: Family) -> dict[str, list[int]]:
    """Names and shapes as on the Hub: what the class saves, which is not what it has in memory."""
    config = dict(family.loads_as or family.config)
    kind = getattr(transformers, config["architectures"][0])
    model = kind(kind.config_class(**config))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        found = _header(Path(folder) / "model.safetensors")
    if "Embedding" in family.like:  # saved from the model without its head
        found = {name.removeprefix("model."): shape for name, shape in found.items()}
    return found


def _header(path: Path) -> dict[str, list[int]]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    return {name: header[name]["shape"] for name in sorted(header) if name != "__metadata__"}


def references(name: str, folder: Path) -> Arrays:
    family = FAMILIES[name]
    write_checkpoint(name, folder)
    if family.loads_as:
        _write(folder / "config.json", dict(family.loads_as))
    if name == "siglip":
        (folder / "spiece.model").write_bytes(
            (HERE / "tokenizers" / "siglip.spiece.model").read_bytes()
        )
    if family.kind == "embedding":
        return embeddings(family, folder)
    if family.kind == "rerank":
        return causal_scores(folder) if name == "qwen3-reranker" else scores(family, folder)
    found = {"images": image_vectors(folder)}
    return found | (matches(name, folder) if family.kind == "multimodal" else {})


# -------------------------------------------------------------------- texts and pairs


def embeddings(family: Family, folder: Path) -> Arrays:
    model = SentenceTransformer(str(folder), device="cpu")
    found = {"texts": model.encode(list(TEXTS), batch_size=len(TEXTS), prompt="")}
    alone = np.stack([model.encode(text, prompt="") for text in TEXTS])
    assert np.allclose(alone, found["texts"], atol=1e-5)
    found["long"] = model.encode([LONG], prompt="")
    for prompt in family.prompts:
        found[prompt] = model.encode(list(TEXTS), batch_size=len(TEXTS), prompt_name=prompt)
    _same_tokens(folder, model.tokenizer)
    return found


def _same_tokens(folder: Path, tokenizer: Any) -> None:
    """``tokenizer.json`` alone says what the library's class of that tokenizer does."""
    alone = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text in TEXTS:
        one, other = (kind(text)["input_ids"] for kind in (alone, tokenizer))
        assert one == other, (text, one, other)


def scores(family: Family, folder: Path) -> Arrays:
    """Logits, and what its users get: the scores after the model's own activation."""
    model = CrossEncoder(str(folder), device="cpu")
    pairs = [*PAIRS, *LONG_PAIRS]
    if "Qwen" in family.like:  # formatted as its model card does
        pairs = [(PREFIX + ASKED.format(query), f"<Document>: {d}{SUFFIX}") for query, d in PAIRS]
    identity = torch.nn.Identity()
    logits = model.predict(pairs, batch_size=len(pairs), activation_fn=identity)
    return {"logits": logits, "scores": model.predict(pairs, batch_size=len(pairs))}


def causal_scores(folder: Path) -> Arrays:
    """The code of Qwen3-Reranker's model card."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    texts = [f"{PREFIX}{ASKED.format(q)}<Document>: {d}{SUFFIX}" for q, d in PAIRS]
    inputs = tokenizer(texts, padding=True)
    last = model(**{name: torch.tensor(value) for name, value in inputs.items()}).logits[:, -1]
    no, yes = (tokenizer.convert_tokens_to_ids(word) for word in ("no", "yes"))
    chosen = torch.stack([last[:, no], last[:, yes]], dim=1)
    probabilities = torch.nn.functional.log_softmax(chosen.double(), dim=1)[:, 1].exp()
    return {"logits": (chosen[:, 1] - chosen[:, 0]).numpy(), "scores": probabilities.numpy()}


# -------------------------------------------------------------------- images


def opened() -> list[Image.Image]:
    return [Image.open(BytesIO(content)).convert("RGB") for content in images()]


def pixels(folder: Path) -> dict[str, Any]:
    """What the images become, by the classes on Pillow; in one batch, for all have one size."""
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    if "DINOv3" in settings.get("image_processor_type", ""):
        return {"pixel_values": dinov3_pixels(settings)}
    found = transformers.AutoImageProcessor.from_pretrained(folder)
    assert type(found).__name__.endswith("Pil")
    return dict(found(images=opened(), return_tensors="pt"))


def dinov3_pixels(settings: dict[str, Any]) -> torch.Tensor:
    """What DINOv3ViTImageProcessor does through torchvision: it resizes numbers from 0 to 1."""
    size = (settings["size"]["height"], settings["size"]["width"])
    mean, std = (
        torch.tensor(settings[name])[:, None, None] for name in ("image_mean", "image_std")
    )
    found = []
    for image in opened():
        values = torch.tensor(np.asarray(image)).permute(2, 0, 1)[None] * settings["rescale_factor"]
        values = torch.nn.functional.interpolate(
            values, size, mode="bilinear", align_corners=False, antialias=True
        )
        found.append((values[0] - mean) / std)
    return torch.stack(found)


def image_vectors(folder: Path) -> NDArray[Any]:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = pixels(folder)
    if hasattr(model, "get_image_features"):
        found = model.get_image_features(**inputs).pooler_output
    else:
        found = model(**inputs).pooler_output
    return np.asarray(found.numpy())


def matches(name: str, folder: Path) -> Arrays:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = text_tokens(name, folder)
    texts = model.get_text_features(**tokens).pooler_output
    logits = model(**tokens, **pixels(folder)).logits_per_image
    found = logits.softmax(-1) if name == "clip" else logits.sigmoid()
    return {"texts": texts.numpy(), "probabilities": found.numpy(), "logits": logits.numpy()}


def text_tokens(name: str, folder: Path) -> dict[str, Any]:
    """Texts as the family's processor prepares them; the last one is cut."""
    kinds = {"clip": "CLIPTokenizer", "siglip": "SiglipTokenizer"}
    kind = getattr(transformers, kinds.get(name, "Siglip2Tokenizer"))
    tokenizer = kind.from_pretrained(folder)
    padding = True if name == "clip" else "max_length"
    if name.startswith("siglip2"):
        tokenizer.padding_side = "right"
    found = tokenizer(
        [*TEXTS, LONG], padding=padding, truncation=True, max_length=tokenizer.model_max_length
    )
    return {"input_ids": torch.tensor(found["input_ids"])} | (
        {"attention_mask": torch.tensor(found["attention_mask"])} if name == "clip" else {}
    )


if __name__ == "__main__":
    main(sys.argv[1:])
