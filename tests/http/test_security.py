"""Who may talk to the server, asked of real servers with different settings."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from app import versions
from app.config import Settings
from app.main import create_app
from app.page.routes import STATIC
from app.web import auth
from app.web.errors import OpenBindRefused
from app.web.lazy_router import LazyRouter
from tests.conftest import serving
from tests.http import wire

KEY = "a-long-secret"
ASK = {"message": "hi"}

PAGE_FILES = {
    f"/assets/page/{path.relative_to(STATIC).as_posix()}"
    for path in STATIC.rglob("*.*")
    if path.name != "index.html"
}
PUBLIC = {
    "/",
    "/docs",
    "/redoc",
    "/health",
    "/health/live",
    "/api/v1/openapi.json",
    "/api/v2/openapi.json",
    "/api/v3/openapi.json",
    "/api/v4/openapi.json",
    "/api/v5/openapi.json",
    "/api/v6/openapi.json",
    "/api/anthropic/openapi.json",
    "/api/openai/openapi.json",
    "/api/tool/openapi.json",
    "/v1/health",
    "/assets/swagger-ui-bundle.js",
    "/assets/swagger-ui.css",
    "/assets/redoc.standalone.js",
    "/assets/docs.js",
    "/assets/pages.css",
    "/assets/icon.svg",
    *PAGE_FILES,
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    with serving(models_dir=folder, api_keys=("other", KEY, "ключ")) as client:
        yield client


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that a page of another site may use."""
    folder = tmp_path_factory.mktemp("models")
    origins = ("https://chat.example",)
    with serving(models_dir=folder, cors_origins=origins, allowed_hosts=("Box.lan",)) as client:
        yield client


def every_route() -> set[tuple[str, str]]:
    app = create_app(Settings(_env_file=None, api_keys=(KEY,)))
    for included in app.routes:
        if isinstance(router := getattr(included, "original_router", None), LazyRouter):
            router.load()
    return {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if route.path is not None
    }


def test_the_public_list_is_exactly_this(locked: httpx.Client) -> None:
    open_ones = {
        path for method, path in every_route() if locked.request(method, path).status_code != 401
    }
    assert open_ones == PUBLIC


def test_the_walk_sees_the_whole_application() -> None:
    some = {("POST", "/api/v1/chat"), ("POST", "/api/v2/chat/stream"), ("GET", "/v1/models")}
    assert some <= every_route()


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing", "/docs/", "/%64ocs/x"])
def test_what_does_not_exist_is_not_public(locked: httpx.Client, path: str) -> None:
    assert locked.get(path).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server/api/v5",
        "/.well-known/openid-configuration",
        "/.well-known/",
        "/.well-known/../api/v1/models",
        "/.well-known/%2e%2e/metrics",
    ],
)
def test_who_asks_how_to_log_in_is_told_there_is_nothing(
    locked: httpx.Client, method: str, path: str
) -> None:
    found = wire.talk(locked, wire.request(method, path, headers=b"Connection: close\r\n"))
    assert wire.problem(found) == (404, "not-found")


@pytest.mark.parametrize("path", ["/.well-known", "/x/.well-known/y", "//.well-known/x"])
def test_nothing_else_is_public_by_that_name(locked: httpx.Client, path: str) -> None:
    found = wire.talk(locked, wire.request("GET", path))
    assert wire.problem(found) == (401, "api-key-required")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"X-API-Key": "ключ".encode()},
    ],
)
def test_a_key_opens_everything(locked: httpx.Client, headers: dict[str, str]) -> None:
    assert locked.post("/api/v1/chat", json=ASK, headers=headers).status_code == 200
    assert locked.get("/api/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"X-API-Key": ""},
        {"X-API-Key": f"{KEY},other"},
    ],
)
def test_anything_else_does_not(locked: httpx.Client, headers: dict[str, str]) -> None:
    answer = locked.post("/api/v1/chat", json=ASK, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "api-key-required")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_with_keys_any_host_name_is_fine(locked: httpx.Client) -> None:
    assert locked.get("/health", headers={"Host": "anything.example"}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8", "10.1.2.3"])
def test_local_names_and_addresses_are_our_own(echo: httpx.Client, host: str) -> None:
    assert echo.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "[", "a@localhost:x"]
)
def test_a_rebound_name_is_refused(echo: httpx.Client, host: str) -> None:
    answer = echo.get("/api/v1/models", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "host-not-allowed")


def test_a_name_may_be_added(pages: httpx.Client) -> None:
    assert pages.get("/health", headers={"Host": "box.LAN:80"}).status_code == 200


HOSTILE = [
    "http://[",
    "http://]",
    "http://[::1",
    "http://[v1.x]:1",
    "[",
    "://",
    "http://",
    "http://127.0.0.1:99999999999",
    "http://127.0.0.1:x",
    "http://\u2100.example".encode().decode("latin-1"),
    "http://a@localhost",
    "x" * 60_000,
    "\x01\x02",
    "\xff\xfe",
    "",
]


@pytest.mark.parametrize("origin", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_an_origin_that_is_none_is_refused(echo: httpx.Client, method: str, origin: str) -> None:
    """``http://[`` was answered with 500."""
    headers = b"Origin: " + origin.encode("latin-1") + b"\r\n"
    found = wire.talk(echo, wire.request(method, "/api/v2/chat/stream", headers=headers))
    assert wire.problem(found) == (403, "origin-not-allowed")
    assert found is not None
    assert len(found.body) < 2000


def test_every_origin_must_be_allowed(pages: httpx.Client) -> None:
    both = b"Origin: https://chat.example\r\nOrigin: https://evil.example\r\n"
    found = wire.talk(pages, wire.request("POST", "/api/v1/chat", b"{}", both))
    assert wire.problem(found) == (403, "origin-not-allowed")


STREAMS = [
    f"/api/{name}{route.path}"
    for number, name in enumerate(versions.NAMES)
    for route in versions.compose(versions.RELEASES[: number + 1])
    if route.path.endswith(("/stream", "/load"))
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST"])
def test_a_stream_is_for_our_own_pages_by_any_method(echo: httpx.Client, method: str) -> None:
    assert len(STREAMS) >= 9
    for path in STREAMS:
        foreign = echo.request(method, path, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403, path
        own = echo.request(method, path, headers={"Origin": str(echo.base_url).rstrip("/")})
        assert own.status_code != 403, path


def test_what_changes_nothing_and_streams_nothing_needs_no_origin(echo: httpx.Client) -> None:
    foreign = echo.get("/api/v1/models", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 200


JUNK = [b"", b" ", b"[", b"]:1", b"http://[", b"\xff\xfe", b"=?utf-8?q?x?=", b'"', b"," * 500]
JUNK += [b"%00", b"Bearer", b"Bearer  ", b"bearer \xa0", b"9" * 5000, b"a" * 5000, b"*", b";=;"]
READ_BY_HAND = [
    "Host", "Origin", "Authorization", "X-API-Key", "X-Request-ID", "Content-Type", "Range",
    "Content-Length", "If-Match", "If-None-Match", "Accept", "Expect", "Connection", "Upgrade",
    "Transfer-Encoding", "X-Forwarded-For", "X-Forwarded-Proto", "Access-Control-Request-Method",
]  # fmt: skip


READ_FIRST = ("Host", "Origin", "Authorization", "X-API-Key", "Access-Control-Request-Method")
"""Only of these it matters how a server is guarded, whatever is asked of it."""


def rubbish_is_sent() -> Iterator[Any]:
    """Headers, and the server (a fixture) that gets them with each kind of rubbish."""
    for server in ("echo", "locked", "pages"):
        for name in READ_BY_HAND:
            daily = server == "echo" or name in READ_FIRST
            yield pytest.param(name, server, marks=() if daily else pytest.mark.matrix)


@pytest.mark.parametrize(("name", "fixture"), list(rubbish_is_sent()))
def test_no_header_is_a_mistake_of_ours(
    request: pytest.FixtureRequest, name: str, fixture: str
) -> None:
    """Each header that something here reads."""
    server: httpx.Client = request.getfixturevalue(fixture)
    asked = [
        ("GET", "/api/v4/prompt/templates/default", b""),
        ("PUT", "/api/v4/prompt/templates/mine", b"{}"),
        ("POST", "/api/v5/chat", b"{}"),
        ("OPTIONS", "/api/v1/chat", b""),
        ("GET", "/metrics", b""),
        ("GET", "/", b""),
    ]
    for junk in JUNK:
        header = f"{name}: ".encode() + junk + b"\r\n"
        for method, path, body in asked:
            found = wire.talk(server, wire.request(method, path, body, header))
            assert found is not None
            assert found.status < 500 or found.status == 501, (header, method, path)


def test_a_key_may_be_any_bytes(empty_models: Path) -> None:
    """Also some that are blanks in another encoding, at its ends."""
    keys = ("ключх", "\xa0key\x85", "à")
    with serving(models_dir=empty_models, api_keys=keys) as client:
        for key in keys:
            for name, scheme in ((b"X-API-Key", b""), (b"Authorization", b"Bearer ")):
                sent = client.get("/api/v1/models", headers={name: scheme + key.encode()})
                assert sent.status_code == 200, key


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_changes_nothing(echo: httpx.Client, origin: str) -> None:
    answer = echo.post("/api/v1/chat", json=ASK, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-not-allowed")
    assert "access-control-allow-origin" not in answer.headers


def test_our_own_pages_may_ask(echo: httpx.Client) -> None:
    own = str(echo.base_url).rstrip("/")
    assert echo.post("/api/v1/chat", json=ASK, headers={"Origin": own}).status_code == 200


def test_a_named_page_may_ask_and_read(pages: httpx.Client) -> None:
    origin = {"Origin": "https://chat.example"}
    preflight = pages.options(
        "/api/v1/chat",
        headers=origin
        | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-api-key",
        },
    )
    assert preflight.status_code == 200
    answer = pages.post("/api/v1/chat", json=ASK, headers=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://chat.example"
    assert "access-control-allow-credentials" not in answer.headers


def test_no_page_may_read_by_default(echo: httpx.Client) -> None:
    answer = echo.get("/api/v1/models", headers={"Origin": "https://chat.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    auth.require_safe_bind(Settings(_env_file=None), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.lan"])  # noqa: S104
def test_the_whole_network_needs_one(host: str) -> None:
    with pytest.raises(OpenBindRefused, match=r"API_KEYS=.*HOST=127\.0\.0\.1.*ALLOW_OPEN_BIND"):
        auth.require_safe_bind(Settings(_env_file=None), host)
    auth.require_safe_bind(Settings(_env_file=None, api_keys=("k",)), host)
    auth.require_safe_bind(Settings(_env_file=None, allow_open_bind=True), host)


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address


def test_a_bind_by_hand_is_refused_at_each_request(empty_models: object) -> None:
    """As with ``uvicorn --host 0.0.0.0``, of which the settings know nothing."""
    try:
        address = own_address()
    except OSError:
        pytest.skip("this machine has no network")
    with serving("0.0.0.0", models_dir=empty_models) as client:  # noqa: S104
        assert client.get("/health/live").status_code == 200
        outside = client.base_url.copy_with(host=address)
        answer = client.get(outside.join("/health"))
        assert (answer.status_code, answer.json()["code"]) == (403, "open-bind-refused")
        assert "API_KEYS" in answer.json()["detail"]
