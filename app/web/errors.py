"""What the edge refuses: bytes that are no request, connections beyond the cap, keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from app.errors import ApiError


class MalformedRequest(ApiError):
    """The bytes of a request break the rules of HTTP/1.1."""


class ServerFull(ApiError):
    """All connections that there can be are being answered."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __str__(self) -> str:
        return (
            "The server is answering as many connections as it can (the setting "
            "MAX_CONNECTIONS): try again in a moment."
        )


class AdminKeyRequired(ApiError):
    """The key that was sent, if any, is not among ADMIN_API_KEYS."""

    def __str__(self) -> str:
        return (
            "Only the administrators of this server may load, unload and download models: send "
            "one of ADMIN_API_KEYS as Authorization: Bearer <key>, or X-API-Key: <key>."
        )
