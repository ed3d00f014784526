"""Settings of vLLM, which serves Hugging Face folders where there is a command that starts it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from app.config.values import Command, ModelEngines, pairs
from app.provider.catalogue.engine_settings import EngineSettings
from app.provider.engine import VllmOptions

_OURS = ("--api-key", "--headless", "--host", "--port", "--served-model-name", "--uds")
"""Options of vLLM that this server sets."""


def _free_arguments(value: str) -> str:
    for word in shlex.split(value):
        name = word.partition("=")[0].replace("_", "-")
        if name in _OURS:
            raise ValueError(f"{name} is set by this server")
    return value


class VllmSettings(BaseSettings):
    """The settings of vLLM, and which engine serves which model."""

    model_engine: ModelEngines = ()
    vllm_command: Command = ""
    llm_vllm_args: Annotated[Command, AfterValidator(_free_arguments)] = ""
    llm_vllm_tensor_parallel_size: int = Field(1, ge=1, le=1024)
    llm_vllm_dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = "auto"
    llm_vllm_max_model_len: int = Field(-1, ge=-1)

    def engines(self) -> EngineSettings:
        """Which engines serve models."""
        return EngineSettings(pairs(self.model_engine), vllm=bool(self.vllm_command))

    def vllm(self, load_seconds: float) -> VllmOptions:
        """How vLLM is started; it is given up where it is not ready after ``load_seconds``."""
        return VllmOptions(
            command=tuple(shlex.split(self.vllm_command)),
            arguments=tuple(shlex.split(self.llm_vllm_args)),
            tensor_parallel_size=self.llm_vllm_tensor_parallel_size,
            dtype=self.llm_vllm_dtype,
            max_model_len=self.llm_vllm_max_model_len,
            load_seconds=load_seconds,
        )

    def without_vllm(self) -> Iterator[str]:
        """A sentence for each setting of vLLM that is given although nothing starts vLLM."""
        for name in sorted(self.model_fields_set):
            if name.startswith("llm_vllm_") and not self.vllm_command:
                yield f"{name.upper()} has no effect without VLLM_COMMAND."
