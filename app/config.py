"""Settings: everything a user can choose, read once from the environment or ``.env``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.provider.engine import EngineLimits
from app.provider.pool import PoolConfig
from app.provider.runtime import HostPolicy


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""


class InvalidSetting(Exception):
    """A setting has a value that it cannot have; ``str()`` says which."""


class Settings(BaseSettings):
    """Each field is an environment variable of the same name in capitals; see .env.example."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    api_keys: Names = Field((), repr=False)
    allow_open_bind: bool = False
    allowed_hosts: Names = ()
    cors_origins: Names = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: str = Field("sqlite:///sllm.db", repr=False)

    models_dir: Path = Field(
        Path("models"),
        validation_alias=AliasChoices("models_dir", "llm_models_dir", "local_models_dir"),
    )
    prompts_dir: Path = Path("prompts")
    sllm_model_path: Path | None = None
    vision_model_path: Path | None = None
    enable_echo: bool = False
    hf_endpoint: str = "https://huggingface.co"

    max_history_length: int = Field(100, ge=0)
    page_size: int = Field(20, ge=1, le=1000)
    max_request_bytes: int = Field(2**20, ge=1024)

    use_gpu: bool = False
    gpu_layers: int = Field(-1, ge=-1)
    context_length: int = Field(0, ge=0)
    engine_slots: int = Field(8, ge=1, le=256)
    engine_threads: int = Field(0, ge=0)
    max_waiting: int = Field(64, ge=0)
    default_max_tokens: int = Field(1024, ge=1)
    kv_cache_mb: int = Field(512, ge=1)
    prefix_cache_mb: int = Field(512, ge=0)
    llm_model_cache_size: int = Field(2, ge=1)
    engine_stall_seconds: float = Field(120, gt=0)
    load_timeout_seconds: float = Field(600, gt=0)

    def pool(self) -> PoolConfig:
        """What the provider needs to know of these settings."""
        return PoolConfig(
            models_dir=self.models_dir,
            default_model=self.sllm_model_path,
            echo=self.enable_echo,
            max_loaded=self.llm_model_cache_size,
            limits=self._limits(),
            policy=HostPolicy(
                self.max_waiting, self.engine_stall_seconds, self.load_timeout_seconds
            ),
        )

    def _limits(self) -> EngineLimits:
        return EngineLimits(
            slots=self.engine_slots,
            context_length=self.context_length,
            default_max_tokens=self.default_max_tokens,
            threads=self.engine_threads,
            gpu_layers=self.gpu_layers if self.use_gpu else 0,
            kv_cache_bytes=self.kv_cache_mb * 2**20,
            prefix_cache_bytes=self.prefix_cache_mb * 2**20,
        )


def read() -> Settings:
    """Read the environment and ``.env``; raises InvalidSetting."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, value, problem = str(first["loc"][0]).upper(), first["input"], first["msg"]
        raise InvalidSetting(f"{name}={value}: {problem}.") from error
