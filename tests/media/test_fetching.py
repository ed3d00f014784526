"""Fetching from real sockets: everything that a server, a name or a redirect can do."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import AppError
from app.media.errors import (
    ImageTooLarge,
    ImageTypeMismatch,
    ImageUnreachable,
    ImageUrlRefused,
    ImageUrlsOff,
)
from app.media.exchange import Fetched
from app.media.fetch import Fetcher
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.media.policy import MediaPolicy
from app.web.error_codes import kind_of
from tests.media.files import drawing, jpeg, saved
from tests.media.web import Serve, Web, endless, page, raw, redirect, silent, web

FILE = saved(drawing(), "PNG")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HERE, PRIVATE = "127.0.0.1", "127.0.0.2"
"""To the tests the first is public: the only address that is, where no network is."""


def limits(web: Web, **more: object) -> MediaPolicy:
    given = {"urls": True, "url_ports": (web.port,), "seconds": 60.0, "max_bytes": 50_000} | more
    return MediaPolicy(**given)  # type: ignore[arg-type]


class Names:
    """A resolver that answers in turn, the last answer for ever, and notes what it was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def look_up(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return answer


def fetch(web: Web, path: str = "/", names: Names | None = None, **more: object) -> Fetched:
    asked = (names or Names([HERE])).look_up
    fetcher = Fetcher(limits(web, **more), asked, lambda address: address == HERE)
    return asyncio.run(fetcher.fetch(f"http://pictures.example:{web.port}{path}"))


def refusal(web: Web, path: str = "/", names: Names | None = None, **more: object) -> AppError:
    with pytest.raises(AppError) as raised:
        fetch(web, path, names, **more)
    return raised.value


@pytest.fixture
def private() -> Iterator[Web]:
    """What must never be reached."""
    with web({"/": page(FILE)}, PRIVATE) as server:
        yield server
        assert server.requests == []


def test_a_picture_is_fetched() -> None:
    with web({"/a?b=%20c": page(FILE)}) as server:
        assert fetch(server, "/a?b=%20c#part") == Fetched(FILE, "image/png")
    (asked,) = server.requests
    assert f"\r\nHost: pictures.example:{server.port}\r\n" in asked
    assert "cookie" not in asked.lower()
    assert "authorization" not in asked.lower()


def test_chunks_and_the_end_of_the_connection_end_a_picture() -> None:
    pieces = b"".join(
        b"%x\r\n%s\r\n" % (len(FILE[n:][:50]), FILE[n:][:50]) for n in range(0, len(FILE), 50)
    )
    with web({"/": raw(CHUNKED + pieces + b"0\r\n\r\n")}) as server:
        assert fetch(server).content == FILE
    with web({"/": raw(OK + b"\r\n" + FILE)}) as server:
        assert fetch(server).content == FILE


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with web({}) as proxy, web({"/": page(FILE)}) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(server).content == FILE
    assert proxy.requests == []


def test_redirects_are_followed_three_times() -> None:
    pages = {f"/{n}": redirect(f"/{n + 1}") for n in range(3)} | {"/3": page(FILE)}
    with web(pages | {"/x": redirect("/0")}) as server:
        assert fetch(server, "/0").content == FILE
        assert type(refusal(server, "/x")) is ImageUnreachable
        assert len(server.requests) == 4 + 4


SERVERS: dict[str, tuple[Serve, type[AppError]]] = {
    "endless": (endless(OK + b"\r\n", b"x" * 10_000), ImageTooLarge),
    "endless in chunks": (endless(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"), ImageTooLarge),
    "chunks of one byte": (endless(CHUNKED, b"1\r\nx\r\n" * 2000), ImageUnreachable),
    "announces too much": (page(bytes(50_001)), ImageTooLarge),
    "announces far too much": (
        raw(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
        ImageUnreachable,
    ),
    "announces less than nothing": (raw(OK + b"Content-Length: -1\r\n\r\n"), ImageUnreachable),
    "announces two lengths": (
        raw(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx"),
        ImageUnreachable,
    ),
    "sends less than announced": (raw(OK + b"Content-Length: 900\r\n\r\nx"), ImageUnreachable),
    "breaks off a chunk": (raw(CHUNKED + b"ff\r\nx"), ImageUnreachable),
    "drips": (endless(OK + b"\r\n", b"x", 0.05), ImageUnreachable),
    "drips headers": (endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", 0.05), ImageUnreachable),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 500), ImageUnreachable),
    "continues for ever": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), ImageUnreachable),
    "switches protocols": (
        raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ImageUnreachable,
    ),
    "says nothing": (silent, ImageUnreachable),
    "closes at once": (raw(b""), ImageUnreachable),
    "speaks no HTTP": (raw(b"220 mail.example ESMTP\r\n"), ImageUnreachable),
    "not found": (page(FILE, status="404 Not Found"), ImageUnreachable),
    "partial": (page(FILE, status="206 Partial Content"), ImageUnreachable),
    "server error": (page(b"", status="500 Oh"), ImageUnreachable),
    "web page": (page(b"<html>", mime="text/html"), ImageUrlRefused),
    "svg": (page(b"<svg/>", mime="image/svg+xml"), ImageUrlRefused),
    "bytes of any type": (page(FILE, mime="application/octet-stream"), ImageUrlRefused),
    "no type": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), ImageUrlRefused),
    "compressed": (page(FILE, "Content-Encoding: gzip"), ImageUnreachable),
    "redirects to itself": (redirect("/"), ImageUnreachable),
    "redirects to nowhere": (redirect(""), ImageUnreachable),
    "redirects to a file": (redirect("file:///etc/passwd"), ImageUrlRefused),
    "redirects to gopher": (redirect("gopher://pictures.example/_x"), ImageUrlRefused),
    "redirects to data": (redirect("data:image/png;base64,AAAA"), ImageUrlRefused),
    "redirects to another port": (redirect("http://pictures.example:22/"), ImageUrlRefused),
    "redirects with a password": (redirect("http://a:b@pictures.example/"), ImageUrlRefused),
    "redirects to nonsense": (redirect("http://[::1/"), ImageUrlRefused),
}


UNTIL_TIME_IS_UP = {"drips", "drips headers", "says nothing"}
"""What these do is no fault as such: only the time ends it, and without a limit nothing would."""


@pytest.mark.parametrize("name", SERVERS)
def test_a_hostile_server(name: str) -> None:
    serve, kind = SERVERS[name]
    with web({"/": serve}) as server:
        error = refusal(server, seconds=1.0 if name in UNTIL_TIME_IS_UP else 60.0)
    assert type(error) is kind, error
    assert (
        kind_of(kind).status
        == {ImageTooLarge: 413, ImageUrlRefused: 422, ImageUnreachable: 502}[kind]
    )
    assert str(error).endswith((".", ")."))


def test_a_name_that_leads_to_a_private_address_is_refused(private: Web) -> None:
    assert type(refusal(private, names=Names([PRIVATE]))) is ImageUrlRefused


def test_one_private_address_among_public_ones_is_enough(private: Web) -> None:
    names = Names([HERE, PRIVATE])
    assert type(refusal(private, names=names)) is ImageUrlRefused


def test_a_name_is_looked_up_once_and_the_connection_goes_there() -> None:
    """DNS rebinding: the second answer would be the private address."""
    with web({"/": page(FILE)}) as server:
        names = Names([HERE], [PRIVATE])
        assert fetch(server, names=names).content == FILE
    assert names.asked == ["pictures.example"]


def test_a_redirect_is_looked_up_and_checked_anew(private: Web) -> None:
    with web({"/": redirect(f"http://pictures.example:{private.port}/")}) as server:
        names = Names([HERE], [PRIVATE])
        error = refusal_at_both(server, private, names)
    assert type(error) is ImageUrlRefused
    assert names.asked == ["pictures.example"] * 2


def test_a_redirect_to_a_private_address_is_refused(private: Web) -> None:
    with web({"/": redirect(f"http://{PRIVATE}:{private.port}/")}) as server:
        error = refusal_at_both(server, private, Names([HERE], [PRIVATE]))
    assert type(error) is ImageUrlRefused


def refusal_at_both(server: Web, private: Web, names: Names) -> AppError:
    ports = (server.port, private.port)
    fetcher = Fetcher(
        limits(server, url_ports=ports), names.look_up, lambda address: address == HERE
    )
    with pytest.raises(AppError) as raised:
        asyncio.run(fetcher.fetch(f"http://pictures.example:{server.port}/"))
    return raised.value


def test_production_reaches_nothing_on_this_machine() -> None:
    """The real look-up and the real rule."""
    with web({"/": page(FILE)}) as server:
        for host in (HERE, "localhost.", "localhost.localdomain", "[::1]", "[::ffff:127.0.0.1]"):
            with pytest.raises((ImageUrlRefused, ImageUnreachable)):
                asyncio.run(Fetcher(limits(server)).fetch(f"http://{host}:{server.port}/"))
    assert server.requests == []


def test_a_name_that_is_not_there_and_a_slow_look_up() -> None:
    class Slow(Names):
        async def look_up(self, host: str, port: int) -> list[str]:
            await asyncio.sleep(3600)
            return [HERE]

    with web({"/": page(FILE)}) as server:
        assert type(refusal(server, names=Names([]))) is ImageUnreachable
        assert type(refusal(server, names=Slow([HERE]), seconds=0.5)) is ImageUnreachable


def test_nothing_listens() -> None:
    with web({}) as server:
        pass
    assert type(refusal(server)) is ImageUnreachable


def test_urls_are_off_by_default() -> None:
    with web({"/": page(FILE)}) as server, pytest.raises(ImageUrlsOff, match="base64"):
        fetch(server, urls=False)
    assert MediaPolicy().urls is False
    assert server.requests == []


async def test_what_is_fetched_becomes_a_picture() -> None:
    with web({"/a.png": page(FILE), "/lie.png": page(jpeg())}) as server:
        policy = limits(server)
        intake = Intake(policy, Fetcher(policy, Names([HERE]).look_up, lambda _: True))
        address = f"http://pictures.example:{server.port}"
        picture = await intake.take(ImageSource(url=f"{address}/a.png"))
        assert (picture.width, picture.height) == (40, 30)
        with pytest.raises(ImageTypeMismatch):
            await intake.take(ImageSource(url=f"{address}/a.png", mime="image/gif"))
        with pytest.raises(ImageTypeMismatch):
            await intake.take(ImageSource(url=f"{address}/lie.png"))
        await intake.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For pictures.example, signed by itself."""
    if not (program := shutil.which("openssl")):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example"]
    command += ["-keyout", str(folder / "both.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with (folder / "both.pem").open("a") as both:
        both.write((folder / "certificate.pem").read_text())
    return folder


@pytest.mark.parametrize(
    ("host", "trusted"),
    [("pictures.example", True), ("pictures.example", False), ("other.example", True)],
)
def test_the_certificate_is_checked_against_the_name(
    certificate: Path, host: str, trusted: bool
) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate / "both.pem")
    names: list[str] = []
    serving.sni_callback = lambda _socket, name, _context: names.append(str(name))
    known = certificate / "certificate.pem" if trusted else None
    with web({"/": page(FILE)}, tls=serving) as server:
        trust = ssl.create_default_context(cafile=known)
        fetcher = Fetcher(limits(server), Names([HERE]).look_up, lambda _: True, trust)
        url = f"https://{host}:{server.port}/"
        if trusted and host == "pictures.example":
            assert asyncio.run(fetcher.fetch(url)).content == FILE
        else:
            with pytest.raises(ImageUnreachable, match="certificate"):
                asyncio.run(fetcher.fetch(url))
            assert server.requests == []
    assert names == [host]
