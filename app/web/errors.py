"""What the edge refuses: bytes that are no request, connections beyond the cap, keys."""

from __future__ import annotations

from app.errors import AppError


class MalformedRequest(AppError):
    """The bytes of a request break the rules of HTTP/1.1."""


class ServerFull(AppError):
    """All connections that there can be are being answered."""

    retry_after = 5.0

    def __str__(self) -> str:
        return (
            "The server is answering as many connections as it can (the setting "
            "MAX_CONNECTIONS): try again in a moment."
        )


class AdminKeyRequired(AppError):
    """The key that was sent, if any, is not among ADMIN_API_KEYS."""

    def __str__(self) -> str:
        return (
            "Only the administrators of this server may load, unload and download models: send "
            "one of ADMIN_API_KEYS as Authorization: Bearer <key>, or X-API-Key: <key>."
        )


class KeyRequired(AppError):
    """No API key was sent, or one that is not among API_KEYS."""


class OpenBindRefused(AppError):
    """The server listens beyond this machine, without keys and without the opt-out."""


class HostNotAllowed(AppError):
    """The Host header names a host that this server does not answer for."""


class OriginNotAllowed(AppError):
    """A page of another origin sent a request that changes something."""


class MediaTypeNotSupported(AppError):
    """The body of a JSON route is not declared as JSON."""


class UploadsBusy(AppError):
    """As many bytes of large bodies are in memory as may."""

    retry_after = 2.0

    def __str__(self) -> str:
        return "The server is reading as many large requests as it can: try again in a moment."


class ClientGone(AppError):
    """The client hung up before its answer was ready."""
