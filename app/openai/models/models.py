"""What ``/v1/models`` gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """One model on this server, or a model with a prompt template (``model@template``)."""

    id: str = Field(description="Its name in requests.")
    object: Literal["model"] = "model"
    created: int = Field(description="When its files were last changed, in seconds since 1970.")
    owned_by: str
    context_length: int = Field(description="Tokens of a prompt together with its answer.")
    tasks: list[str] = Field(description="What it can do.", examples=[["chat"]])


class ModelList(BaseModel):
    """All models on this server."""

    object: Literal["list"] = "list"
    data: list[Model]
