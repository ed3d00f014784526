"""Describes folders of an ONNX export without the settings that onnxruntime-genai reads.

Optimum and many repositories write such folders. No engine here loads one; the card says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.provider.card import ModelCard, Task
from app.provider.catalogue.folder import licence
from app.provider.headers.fields import number, text, texts
from app.provider.headers.files import optional_json, sizes

_SETTINGS = ("genai_config.json", "config.json")
_NOT_GENAI = (
    "It is an ONNX export without genai_config.json, which onnxruntime-genai needs: take a build "
    "for onnxruntime-genai, or convert the model's safetensors folder with ./run.sh convert."
)
_EMBEDS = "It makes embeddings; no engine here serves these yet."
_NO_ENGINE = "No engine here runs the architecture {}."


def describe(path: Path) -> ModelCard | None:
    """The card of a folder of config.json and graphs; None for any other. Raises OSError."""
    files = sizes(path)
    graphs = [name for name in files if name.endswith(".onnx")]
    others = any(name.endswith((".safetensors", ".bin")) for name in files)
    if not graphs or others or _SETTINGS[0] in files or _SETTINGS[1] not in files:
        return None
    config = optional_json(path / _SETTINGS[1])
    task, problem = _task(config)
    return ModelCard(
        id=path.name,
        format="onnx",
        engine="onnx",
        path=path,
        size_bytes=sum(files[name] for name in graphs),
        tasks=(task,),
        context_length=number(config, "max_position_embeddings"),
        architecture=text(config, "model_type"),
        licence=licence(path),
        problem=problem,
    )


def _task(config: dict[str, Any]) -> tuple[Task, str]:
    """What the model is for, and why it cannot be loaded."""
    names = texts(config, "architectures")
    if not names or any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        return "chat", _NOT_GENAI
    if all(name.endswith(("Model", "ForMaskedLM")) for name in names):
        return "embedding", _EMBEDS
    return "chat", _NO_ENGINE.format(names[0])
