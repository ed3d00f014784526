"""What the pool of models needs to know of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.provider.engine import EngineLimits
from app.provider.memory import GpuPolicy
from app.provider.runtime.status import HostPolicy


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Where models lie and what they may take.

    ``default_model`` and ``default_vision`` are files or folders anywhere.
    ``aliases`` are further names by id. ``limits.threads`` 0 means the physical cores; models
    that are answering share them, so that their sum never exceeds that number. Files
    ``untouched`` are never opened. ``max_loaded`` models of one kind are loaded at once, within
    ``memory_budget`` bytes of RAM (0: a share of the machine's). ``ttl`` seconds after its last
    request a model leaves (0: never). Without ``auto_unload`` only a request to do so unloads.
    """

    models_dir: Path
    default_model: Path | None = None
    default_vision: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    echo: bool = False
    max_loaded: int = 2
    auto_unload: bool = True
    ttl: float = 0.0
    memory_budget: int = 0
    gpu: GpuPolicy | None = None
    limits: EngineLimits = field(default_factory=EngineLimits)
    policy: HostPolicy = field(default_factory=HostPolicy)
    untouched: frozenset[Path] = frozenset()

    @property
    def named(self) -> list[Path]:
        """The files or folders of default models."""
        return [path for path in (self.default_model, self.default_vision) if path]
