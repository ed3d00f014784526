"""The configuration of a model server, from whoever starts it: only the settings it needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app.provider.hub.names import Hubs
from app.provider.model_server.protocol import PROTOCOL
from app.provider.model_server.server import LINGER_SECONDS
from app.provider.pool.config import PoolConfig

if TYPE_CHECKING:
    from app.config import Settings


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of a model server. It waits ``linger`` seconds for new clients, then ends.

    ``instance`` keeps servers with equal settings apart.
    """

    pool: PoolConfig
    hubs: Hubs
    pull: str = ""
    log_level: str = "INFO"
    linger: float = LINGER_SECONDS
    instance: str = ""

    @property
    def name(self) -> str:
        """The name of its socket: that of a server with other settings differs."""
        known = encode((PROTOCOL, self))
        return hashlib.blake2b(known, digest_size=12).hexdigest()


def config_of(settings: Settings) -> ServerConfig:
    """What of the settings a model server needs: no key of the API, and no database."""
    pool = settings.pool()
    pool = replace(
        pool,
        models_dir=pool.models_dir.absolute(),
        default_model=pool.default_model and pool.default_model.absolute(),
        default_vision=pool.default_vision and pool.default_vision.absolute(),
    )
    return ServerConfig(pool, settings.hubs(), settings.pull, settings.log_level)


def encode(value: Any) -> bytes:
    """Configurations as bytes, equal ones as equal bytes."""
    return msgspec.msgpack.encode(value, enc_hook=str, order="deterministic")


def decode(content: bytes | bytearray) -> ServerConfig:
    """The configuration again."""
    return msgspec.msgpack.decode(content, type=ServerConfig, dec_hook=_path)


def _path(_: type, value: Any) -> Path:
    return Path(value)
