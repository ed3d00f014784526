"""Settings of the model pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.provider.card import Kind
from app.provider.catalogue.engine_settings import EngineSettings
from app.provider.catalogue.names import model_id
from app.provider.engine import EngineLimits
from app.provider.memory import GpuPolicy
from app.provider.runtime.status import HostPolicy


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Where models lie and how much memory they may take.

    ``default_model`` and ``default_vision`` are files or folders anywhere. ``default_names`` are
    the names of models by the kind that they are the default of. ``aliases`` maps a
    further name to an id, ``tool_formats`` an id to the format of ``provider.formats`` in which
    that model calls tools; ``engines`` says which engines serve models. ``limits.threads`` 0
    means all physical cores; models in use share them. Files ``untouched`` are never opened.
    ``max_loaded`` models of one kind are loaded at once, within ``memory_budget`` bytes of RAM (0:
    a share of the machine's). A model is unloaded ``ttl`` seconds after its last request (0:
    never). Without ``auto_unload`` a model is unloaded only on request. ``upstreams`` maps names
    of other servers to the declarations of their models.
    """

    models_dir: Path
    default_model: Path | None = None
    default_vision: Path | None = None
    default_names: Mapping[Kind, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    tool_formats: Mapping[str, str] = field(default_factory=dict)
    engines: EngineSettings = field(default_factory=EngineSettings)
    echo: bool = False
    max_loaded: int = 2
    auto_unload: bool = True
    ttl: float = 0.0
    memory_budget: int = 0
    gpu: GpuPolicy | None = None
    limits: EngineLimits = field(default_factory=EngineLimits)
    policy: HostPolicy = field(default_factory=HostPolicy)
    upstreams: Mapping[str, Any] = field(default_factory=dict)
    untouched: frozenset[Path] = frozenset()

    @property
    def named(self) -> list[Path]:
        """The files or folders of default models."""
        return [path for path in (self.default_model, self.default_vision) if path]

    @property
    def default_chat(self) -> str:
        """The name of the default chat model, by its path or else by its name; empty: none."""
        if self.default_model:
            return model_id(self.default_model)
        return self.default_names.get("chat", "")

    @property
    def all_named(self) -> list[str]:
        """The names of all models that settings name."""
        names = {**self.default_names, "chat": self.default_chat}.values()
        return [name for name in dict.fromkeys([*map(model_id, self.named), *names]) if name]
