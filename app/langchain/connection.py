"""Where the classes of LangChain send their requests."""

from __future__ import annotations

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, Field, SecretStr

from app.client.backend import Backend, backend


class Connection(BaseModel):
    """The fields that say where the models are; ``timeout`` is in seconds."""

    base_url: str | None = Field(default_factory=from_env("SLLM_BASE_URL", default=None))
    api_key: SecretStr | None = Field(default_factory=secret_from_env("SLLM_API_KEY", default=None))
    timeout: float | None = None
    max_retries: int = 2

    @property
    def _backend(self) -> Backend:
        key = self.api_key.get_secret_value() if self.api_key else None
        return backend(self.base_url, key, self.timeout, self.max_retries)
