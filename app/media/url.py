"""What a URL of a picture must be like, before anything is looked up or connected to."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, quote, urlsplit

from app.media.errors import ImageUrlRefused

_LONGEST = 4096
_PORTS = {"http": 80, "https": 443}
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_BRACKETED = re.compile(r"\[[0-9a-f:.]+\](:[0-9]*)?\Z", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_NUMBER = re.compile(r"[0-9]+\Z|0x[0-9a-f]*\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask, and for what. ``host`` is a name or an address, lower case and ASCII."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == _PORTS["https" if self.tls else "http"]
        return host if usual else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in full, to resolve redirects against."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


def target_of(url: str, ports: Collection[int]) -> Target:
    """Take a URL apart strictly; raises ImageUrlRefused."""
    if len(url) > _LONGEST or _NOT_IN_URLS.search(url):
        raise ImageUrlRefused("The URL is too long, or has characters that no URL has.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImageUrlRefused("The URL is not well formed.") from error
    if parts.scheme not in _PORTS:
        raise ImageUrlRefused("Only URLs that begin with http:// or https:// are fetched.")
    if set("[]") & set(parts.netloc) and not _BRACKETED.match(parts.netloc):
        _refuse()  # Python passes over what stands behind the bracket
    if "@" in parts.netloc:
        raise ImageUrlRefused("A URL with a user name or password is not fetched.")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in ports:
        raise ImageUrlRefused(f"Port {port} is not fetched from (the setting IMAGE_URL_PORTS).")
    return Target(parts.scheme == "https", _host(parts), port, _path(parts))


def _path(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%:@!$&'()*+,;=~?-._")


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        if ":" in host:
            return str(IPv6Address(host)) if "%" not in host else _refuse()
        name = host.encode("idna").decode().lower().removesuffix(".")
        labels = name.split(".")
        if _NUMBER.match(labels[-1]):
            # 127.1, 0x7f000001, 0177.0.0.1, 2130706433: systems read these as addresses.
            return str(IPv4Address(name))
    except ValueError:
        _refuse()
    if len(labels) < 2 or len(name) > 253 or not all(map(_LABEL.match, labels)):
        _refuse()
    return name


def _refuse() -> str:
    raise ImageUrlRefused("The URL does not name a host of the internet.")
