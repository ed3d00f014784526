"""Who may talk to the server: API keys, the bind rule, the Host and Origin headers.

Closed by default: a path that is not on the public list needs a key as soon as there are keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.config import Settings
from app.errors import AppError
from app.web.error_rendering import ErrorRenderers
from app.web.errors import HostNotAllowed, KeyRequired, OpenBindRefused, OriginNotAllowed

HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, so that any page may send them (but not to a stream)."""

WELL_KNOWN = "/.well-known/"
"""Clients ask here, without a key, how to log in. There is nothing, and that is no secret."""

HOST_HEADER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d+)?")

LOCAL = "local"
"""The owner of everything while there are no keys."""


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_safe_bind(settings: Settings, host: str) -> None:
    """Refuse to listen on ``host`` for everybody without a key; raises OpenBindRefused."""
    if settings.api_keys or settings.allow_open_bind or is_loopback(host):
        return
    raise OpenBindRefused(
        f"{host} can be reached from other machines and there is no API key. "
        "Set API_KEYS=<a long secret>, or HOST=127.0.0.1, "
        "or ALLOW_OPEN_BIND=true if this network may use the server freely."
    )


class Guard:
    """ASGI middleware: lets a request through, or answers why not."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        errors: ErrorRenderers,
        public: Collection[str],
        is_stream: Callable[[str], bool],
    ) -> None:
        self.app = app
        self._settings = settings
        self._errors = errors
        self._public = frozenset(public)
        self._is_stream = is_stream
        self._admins = tuple(key.encode() for key in settings.admin_api_keys)
        self._keys = tuple(key.encode() for key in settings.api_keys)
        self._origins = frozenset(settings.cors_origins)
        self._any_host = bool(settings.api_keys) or "*" in settings.allowed_hosts
        self._hosts = {"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, note the owner and whether it is an administrator, and pass on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            self._admit(scope)
        except AppError as error:
            refusal = self._errors.render(scope["path"], error, scope["state"]["request_id"])
            return await refusal(scope, receive, send)
        return await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_bind(scope)
        self._check_host(headers.get("host", ""))
        if scope["method"] not in HARMLESS or self._is_stream(scope["path"]):
            self._check_origin(headers)
        key = _key(headers)
        scope["state"]["admin"] = not self._admins or _known(key, self._admins)
        open_to_all = not self._keys or self._is_public(scope["path"])
        scope["state"]["owner"] = LOCAL if open_to_all else self._owner(key)

    def _is_public(self, path: str) -> bool:
        return path in self._public or path.startswith(WELL_KNOWN)

    def _check_bind(self, scope: Scope) -> None:
        # The server may have been started by hand, without HOST: look at the socket itself.
        if not self._keys and (server := scope.get("server")) and server[1] is not None:
            require_safe_bind(self._settings, server[0])

    def _check_host(self, header: str) -> None:
        """A page that rebinds its name to this address still sends that name as Host."""
        if self._any_host:
            return
        host = _hostname(header)
        if host not in self._hosts and not _is_address(host):
            raise HostNotAllowed(
                f"This server does not answer for the host {host!r}. "
                "Add the name to ALLOWED_HOSTS if it is yours."
            )

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host")
        for origin in headers.getlist("origin"):
            own = origin in {f"http://{host}", f"https://{host}"}
            if not own and not {origin, "*"} & self._origins:
                raise OriginNotAllowed(
                    f"Pages of {origin[:200]} may not use this server. Add it to CORS_ORIGINS if "
                    "it is yours."
                )

    def _owner(self, key: bytes | None) -> str:
        if key is None:
            raise KeyRequired("Send an API key: Authorization: Bearer <key>, or X-API-Key: <key>.")
        if not _known(key, (*self._keys, *self._admins)):
            raise KeyRequired("This API key is not known here.")
        return hashlib.blake2b(key, digest_size=16).hexdigest()


def _known(key: bytes | None, keys: Sequence[bytes]) -> bool:
    # Compare with every key, so that the time taken tells nothing.
    return key is not None and bool(sum(hmac.compare_digest(key, known) for known in keys))


def _key(headers: Headers) -> bytes | None:
    """The bytes of a key: the one place that knows where it may stand in a request."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(" \t").encode("latin-1")
    key = headers.get("x-api-key")
    return None if key is None else key.encode("latin-1")


def _hostname(header: str) -> str:
    found = HOST_HEADER.fullmatch(header)
    return (found[1] or found[2]).lower() if found else ""


def _is_address(host: str) -> bool:
    # Nobody can rebind an address: only names are looked up.
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
