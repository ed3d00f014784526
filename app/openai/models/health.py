"""What ``/v1/health`` gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ModelCounts(BaseModel):
    """How many models there are."""

    available: int = Field(description="That can be loaded.")
    loaded: int


class MemoryUse(BaseModel):
    """What loaded models take."""

    gpu_memory_used_gb: float


class Health(BaseModel):
    """The server can answer."""

    status: Literal["ok"]
    models: ModelCounts
    memory: MemoryUse
