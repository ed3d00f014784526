"""What routes may ask for. The only module that names Depends."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import Depends, Request

from app.config import Settings
from app.errors import MediaTypeNotSupported
from app.provider.pool import ModelPool


class State(TypedDict):
    """What lives as long as the application; each request's state is a copy with more in it."""

    settings: Settings
    pool: ModelPool


# All of these are coroutines because the framework sends plain functions through its thread pool.


async def _pool(request: Request) -> ModelPool:
    pool: ModelPool = request.state.pool
    return pool


async def _settings(request: Request) -> Settings:
    settings: Settings = request.state.settings
    return settings


async def _owner(request: Request) -> str:
    owner: str = request.state.owner
    return owner


async def _json_only(request: Request) -> None:
    declared = request.headers.get("content-type", "")
    if declared.partition(";")[0].strip().lower() != "application/json":
        raise MediaTypeNotSupported("Send the body as JSON, with Content-Type: application/json.")


Pool = Annotated[ModelPool, Depends(_pool)]
AppSettings = Annotated[Settings, Depends(_settings)]
Owner = Annotated[str, Depends(_owner)]
"""Who asks, as a key for caches: never the API key itself."""

JSON_ONLY = Depends(_json_only)
"""For the ``dependencies`` of a route that takes a JSON body."""
