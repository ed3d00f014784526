"""Recognises GGUF files that are not chat models.

GGUF is a container: programs for images, sound and search store their models in it as well.
``general.architecture`` says what a file is, and the llama.cpp library says which names it knows.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.provider.headers.fields import text
from app.provider.headers.gguf import Header

_COMPANIONS = {"adapter", "mmproj", "vocab", "imatrix", "controlvector", "control_vector", "lora"}
"""Values of ``general.type`` for files that only go with a model."""

_COMPANION_ARCHITECTURES = {"clip", "controlvector", "imatrix"}

_OTHERS = (
    (
        "It makes pictures or videos, not text: no engine here runs it.",
        "flux flux1 flux2 sd sd1 sd2 sd3 sd3.5 sdxl stable-diffusion ssd1b wan wan2 hyvid "
        "hunyuan_video hunyuanvideo hunyuan_image ltxv ltxav ltx cosmos hidream lumina lumina2 "
        "aura auraflow pixart qwen_image z_image zimage chroma mochi kolors omnigen kandinsky "
        "cogvideox svd pig vae",
    ),
    (
        "It makes sound of tokens (a vocoder) and reads no text: no engine here runs it.",
        "wavtokenizer wavtokenizer-dec snac dac mimi encodec vocos bigvgan hifigan vocoder",
    ),
    (
        "It is a model for speech: no engine here runs it.",
        "whisper parakeet kokoro parler-tts parler_tts tts orpheus-tts dia bark csm outetts "
        "cosyvoice cosyvoice3 qwen3-tts qwen3tts moonshine sensevoice paraformer piper vits "
        "f5-tts chatterbox vibevoice zipvoice rvc",
    ),
    (
        "It describes pictures by numbers and writes no text: no engine here runs it.",
        "siglip siglip2 vit dinov2 dinov3 dino sam sam2 sam3 yolo depth-anything clip-vision "
        "clip_vision esrgan",
    ),
    (
        "Models with an encoder (T5 and the like) are not supported.",
        "t5 t5encoder umt5 mt5 byt5 bart m2m100 nllb marian",
    ),
    (
        "It writes text by diffusion, which no engine here does.",
        "dream llada llada-moe rnd1 diffusion-gemma",
    ),
)
"""Pairs: the problem of models that do not chat, and the names of their architectures."""

_OTHER_KINDS = {name: problem for problem, names in _OTHERS for name in names.split()}
_NO_TOKENIZERS = {"", "none", "no_vocab"}


def is_companion(header: Header, *, in_parts: bool) -> bool:
    """Whether a file only belongs to a model, and so has no card of its own."""
    metadata = header.metadata
    if text(metadata, "general.type") in _COMPANIONS:
        return True
    if text(metadata, "general.architecture") in _COMPANION_ARCHITECTURES:
        return True
    return header.whole and header.tensors == 0 and not in_parts  # a vocabulary by itself


def why_no_chat(header: Header) -> str | None:
    """Why a whole file is no chat model; None where it is one."""
    if found := _OTHER_KINDS.get(text(header.metadata, "general.architecture").lower()):
        return found
    return why_no_text(header)


def why_no_text(header: Header) -> str | None:
    """Why a whole file cannot take text; None where it can."""
    metadata = header.metadata
    architecture = text(metadata, "general.architecture")
    if not header.lengths.get("tokenizer.ggml.tokens") or _tokenizer(metadata) in _NO_TOKENIZERS:
        return "It has no tokenizer, so it cannot chat: it is no language model, or a part of one."
    if not is_known(architecture):
        return (
            f"llama.cpp here does not know the architecture {architecture or '(none is named)'}: "
            "a newer version may, else take the model in another format."
        )
    return None


def _tokenizer(metadata: dict[str, Any]) -> str:
    return text(metadata, "tokenizer.ggml.model")


def is_known(architecture: str) -> bool:
    """Whether the installed llama.cpp has code for an architecture; true where none is installed.

    The library holds the names as texts that end with a zero byte. A name that is the end of
    another text counts as known; loading the model shows then whether it is.
    """
    library = _library()
    return library is None or (bool(architecture) and _contains(library, architecture))


def _library() -> Path | None:
    """The file of libllama, which is read here but never loaded."""
    spec = importlib.util.find_spec("llama_cpp")
    folder = Path(spec.origin).parent / "lib" if spec and spec.origin else Path()
    names = ("libllama.so", "libllama.dylib")
    return next((folder / name for name in names if (folder / name).is_file()), None)


@lru_cache(maxsize=256)
def _contains(library: Path, architecture: str) -> bool:
    return architecture.encode("utf-8", "replace") + b"\0" in library.read_bytes()
