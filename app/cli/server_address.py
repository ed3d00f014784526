"""Which server commands talk to: one that the environment names, or that of this project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from app.config import Settings

URL, KEY = "SLLM_BASE_URL", "SLLM_API_KEY"
"""Variables of the environment."""


class Address(NamedTuple):
    """Where a server is, and a key for it if there is one; ``local``: one may be started there."""

    url: str
    key: str
    local: bool


def named() -> Address | None:
    """The server that the environment names."""
    url = os.environ.get(URL, "")
    if not url:
        return None
    return Address(url.rstrip("/").removesuffix("/v1"), os.environ.get(KEY, ""), local=False)


def of_settings(settings: Settings) -> Address:
    """The server that runs, or may run, with these settings."""
    from app.config.address import local_url  # noqa: PLC0415 - settings take long to import

    key = os.environ.get(KEY) or next(iter(settings.api_keys), "")
    return Address(local_url(settings.host, settings.port), key, local=True)
