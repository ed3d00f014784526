"""What ``/models`` gives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.web.schema import WireModel


class Model(WireModel):
    """One model on this server."""

    id: str = Field(description="Its name in requests.")
    format: Literal["gguf", "onnx", "mlx", "hf", "echo"]
    tasks: list[str] = Field(description="What it can do.", examples=[["chat"]])
    size_bytes: int
    context_length: int = Field(description="Tokens of a prompt together with its answer.")
    state: Literal["unloaded", "loading", "ready", "restarting", "failed", "unusable"] = Field(
        description="An unloaded model is loaded by the first request; an unusable one is damaged."
    )


class ModelList(WireModel):
    """All models on this server."""

    models: list[Model]
