"""The settings and their defaults, and what each part of the server gets of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.config.errors import InvalidSetting
from app.config.other_names import OtherNamesSource, differences, find_other, given_values
from app.config.runtime import Runtime, default_runtime, require_one_owner, share
from app.config.values import Aliases, Names, Ports, Token, ToolFormats, Upstreams, pairs
from app.config.vllm import VllmSettings
from app.media.policy import MediaPolicy
from app.provider.card import Kind
from app.provider.catalogue.names import model_id
from app.provider.engine import EngineLimits
from app.provider.hub.names import Hubs
from app.provider.memory import GpuPolicy
from app.provider.pool.config import PoolConfig
from app.provider.runtime.status import HostPolicy
from app.web.bounds import HELD_BYTES, BodyPace, ConnectionBounds, connection_limit

READ_AT_ONCE = 4
"""Largest bodies with pictures that are in memory at the same time."""


class Settings(VllmSettings):
    """Each field is an environment variable of the same name in capitals; see .env.example."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # some are secrets
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Names of other projects come last: ours win."""
        ours = (env_settings, dotenv_settings)
        return (init_settings, *ours, OtherNamesSource(settings_cls, *ours))

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    api_keys: Names = Field((), repr=False)
    admin_api_keys: Names = Field((), repr=False)
    allow_open_bind: bool = False
    allowed_hosts: Names = ()
    cors_origins: Names = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    workers: int = Field(1, ge=1, le=64)
    engine_runtime: Runtime | None = None

    max_header_bytes: int = Field(2**16, ge=1024)
    header_timeout_seconds: float = Field(10, gt=0)
    min_body_bytes_per_second: int = Field(1024, ge=0)
    body_window_seconds: float = Field(30, gt=0)
    keep_alive_seconds: float = Field(75, gt=0)
    max_connections: int = Field(0, ge=0)

    database_url: str = Field("sqlite:///sllm.db", repr=False)
    idempotency_mb: int = Field(256, ge=0)

    models_dir: Path = Path("models")
    prompts_dir: Path = Path("prompts")
    sllm_model_path: Path | None = None
    vision_model_path: Path | None = None
    default_chat_model: str = ""
    default_embedding_model: str = ""
    default_rerank_model: str = ""
    default_image_model: str = ""
    default_multimodal_model: str = ""
    enable_echo: bool = False
    echo_words_per_second: float = Field(0, ge=0)
    model_aliases: Aliases = ()
    upstreams: Upstreams = Field({}, repr=False)
    tool_formats: ToolFormats = ()
    hf_endpoint: str = "https://huggingface.co"
    model_hub: Literal["huggingface", "modelscope"] = "huggingface"
    modelscope_endpoint: str = "https://modelscope.cn"
    hf_token: Token = Field("", repr=False)
    modelscope_api_token: Token = Field("", repr=False)
    allow_pull: bool = True
    pull: str = ""

    max_history_length: int = Field(100, ge=0)
    max_background_answers: int = Field(2000, ge=0)
    page_size: int = Field(20, ge=1, le=1000)
    max_request_bytes: int = Field(2**20, ge=1024)

    max_vision_request_bytes: int = Field(32 * 2**20, ge=1024)
    max_images: int = Field(8, ge=0)
    max_image_bytes: int = Field(10 * 2**20, ge=1024)
    max_image_pixels: int = Field(40_000_000, ge=1)
    max_image_side: int = Field(2048, ge=0)
    image_seconds: float = Field(10, gt=0)
    image_urls: bool = False
    image_url_ports: Ports = (80, 443)

    use_gpu: bool = False
    gpu_layers: int = Field(-1, ge=-1)
    cuda_visible_devices: str = ""
    context_length: int = Field(0, ge=0)
    engine_slots: int = Field(8, ge=1, le=256)
    engine_threads: int = Field(0, ge=0)
    max_waiting: int = Field(64, ge=0)
    default_max_tokens: int = Field(1024, ge=1)
    kv_cache_mb: int = Field(0, ge=0)
    prefix_cache_mb: int = Field(512, ge=0)
    image_max_tokens: int = Field(0, ge=0)
    vision_cache_mb: int = Field(128, ge=0)
    onnx_providers: Names = ("cpu",)
    torch_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    llm_model_cache_size: int = Field(2, ge=1)
    llm_auto_unload_models: bool = True
    model_ttl_seconds: float = Field(0, ge=0)
    memory_budget_mb: int = Field(0, ge=0)
    llm_available_gpu_memory_gb: float = Field(0, ge=0)
    llm_gpu_memory_utilization: float = Field(1, gt=0, le=1)
    llm_enable_gpu_memory_offload: bool = True
    llm_gpu_memory_offload_threshold_gb: float = Field(0, ge=0)
    engine_stall_seconds: float = Field(120, gt=0)
    load_timeout_seconds: float = Field(600, gt=0)
    stream_patience_seconds: float = Field(2, ge=0, le=3600)

    @field_validator("engine_runtime")
    @classmethod
    def _one_owner(cls, runtime: Runtime | None, info: ValidationInfo) -> Runtime | None:
        require_one_owner(runtime, info.data.get("workers", 1))
        return runtime

    @property
    def shares_models(self) -> bool:
        """Whether ``serve`` starts a model server: by default with several processes only."""
        return (self.engine_runtime or default_runtime(self.workers)) == "shared"

    def pool(self) -> PoolConfig:
        """What the provider needs to know of these settings."""
        return PoolConfig(
            models_dir=self.models_dir,
            default_model=self.sllm_model_path,
            default_vision=self.vision_model_path,
            default_names=self._default_names(),
            echo=self.enable_echo,
            upstreams=self.upstreams,
            aliases=dict(alias.split("=", 1) for alias in self.model_aliases),
            tool_formats=pairs(self.tool_formats),
            engines=self.engines(),
            max_loaded=self.llm_model_cache_size,
            auto_unload=self.llm_auto_unload_models,
            ttl=self.model_ttl_seconds,
            memory_budget=self.memory_budget_mb * 2**20,
            gpu=self._gpu() if self.use_gpu else None,
            limits=self._limits(),
            policy=HostPolicy(
                self.max_waiting, self.engine_stall_seconds, self.load_timeout_seconds
            ),
        )

    def _gpu(self) -> GpuPolicy:
        return GpuPolicy(
            available=int(self.llm_available_gpu_memory_gb * 2**30),
            threshold=int(self.llm_gpu_memory_offload_threshold_gb * 2**30),
            layers=self.gpu_layers,
            share=self.llm_gpu_memory_utilization,
            split=self.llm_enable_gpu_memory_offload,
            devices=self.cuda_visible_devices,
        )

    def _default_names(self) -> dict[Kind, str]:
        names: dict[Kind, str] = {
            "chat": self.default_chat_model,
            "embedding": self.default_embedding_model,
            "rerank": self.default_rerank_model,
            "vision": self.default_image_model,
            "multimodal": self.default_multimodal_model,
        }
        return {kind: name for kind, name in names.items() if name}

    def media(self, processes: int = 1) -> MediaPolicy:
        """What pictures may be like, and where they may come from.

        Each of ``processes`` decodes its share at the same time, at least one.
        """
        most = MediaPolicy()
        return MediaPolicy(
            workers=share(most.workers, processes),
            max_waiting=share(most.max_waiting, processes),
            max_bytes=self.max_image_bytes,
            max_pixels=self.max_image_pixels,
            max_side=self.max_image_side,
            max_images=self.max_images,
            seconds=self.image_seconds,
            urls=self.image_urls,
            url_ports=self.image_url_ports,
        )

    def body_pace(self) -> BodyPace:
        """How slowly a body may come."""
        return BodyPace(self.min_body_bytes_per_second, self.body_window_seconds)

    def connections(self, descriptors: int, processes: int = 1) -> ConnectionBounds:
        """What connections may take, in one of ``processes`` that can open so many files."""
        wanted = share(self.max_connections, processes) if self.max_connections else 0
        return ConnectionBounds(
            header_bytes=self.max_header_bytes,
            header_seconds=self.header_timeout_seconds,
            drain_seconds=self.body_window_seconds,
            keep_alive_seconds=self.keep_alive_seconds,
            connections=connection_limit(wanted, descriptors),
            held_bytes=share(HELD_BYTES, processes) + self.read_at_once(processes),
        )

    def largest_request(self) -> int:
        """Bytes of a body that may hold pictures: no more than they can take in base64."""
        pictures = self.max_images * self.max_image_bytes * 4 // 3
        bound = min(self.max_vision_request_bytes, self.max_request_bytes + pictures)
        return max(self.max_request_bytes, bound)

    def read_at_once(self, processes: int = 1) -> int:
        """Bytes of such bodies that one of ``processes`` has in memory at the same time."""
        return share(READ_AT_ONCE, processes) * self.largest_request()

    def hubs(self) -> Hubs:
        """Where models are pulled from."""
        return Hubs(
            self.model_hub,
            {"huggingface": self.hf_endpoint, "modelscope": self.modelscope_endpoint},
            {"huggingface": self.hf_token, "modelscope": self.modelscope_api_token},
        )

    def _limits(self) -> EngineLimits:
        return EngineLimits(
            slots=self.engine_slots,
            context_length=self.context_length,
            default_max_tokens=self.default_max_tokens,
            threads=self.engine_threads,
            kv_cache_bytes=self.kv_cache_mb * 2**20,
            prefix_cache_bytes=self.prefix_cache_mb * 2**20,
            image_tokens=self.image_max_tokens,
            vision_cache_bytes=self.vision_cache_mb * 2**20,
            onnx_providers=self.onnx_providers,
            torch_dtype=self.torch_dtype,
            gpu_devices=self.cuda_visible_devices,
            echo_words_per_second=self.echo_words_per_second,
            vllm=self.vllm(self.load_timeout_seconds),
        )


def read() -> Settings:
    """Read the environment and ``.env``; raises InvalidSetting."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, value, problem = str(first["loc"][0]), first["input"], first["msg"]
        other = find_other(given_values(Settings), name)
        shown = other.name if other else name.upper()
        if Settings.model_fields[name].repr:  # the others are secrets
            shown += f"={value}"
        raise InvalidSetting(f"{shown}: {problem}.") from None


def restored(values: str, given: Iterable[str]) -> Settings:
    """Settings of another process, of which only some were ``given``, from JSON of all values."""
    settings = Settings.model_validate_json(values)
    return Settings.model_construct(set(given), **dict(settings))


def conflicts(settings: Settings) -> Iterator[str]:
    """A sentence for each setting that is given and has no effect, because another one wins."""
    yield from differences(Settings, given_values(Settings))
    chat, path = settings.default_chat_model, settings.sllm_model_path
    if chat and path and chat != model_id(path):
        yield f"SLLM_MODEL_PATH={path} is used, not DEFAULT_CHAT_MODEL={chat}."
    if not settings.llm_enable_gpu_memory_offload and settings.gpu_layers > 0:
        yield (
            f"GPU_LAYERS={settings.gpu_layers} is used, which may split a model, "
            "not LLM_ENABLE_GPU_MEMORY_OFFLOAD=false."
        )
    yield from settings.without_vllm()
