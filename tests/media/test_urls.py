"""Which URLs and addresses are refused before anything is connected to."""

from __future__ import annotations

import pytest

from app.media.address import is_public
from app.media.errors import ImageUrlRefused
from app.media.url import target_of

REFUSED = [
    "",
    "pictures.example/a.png",
    "//pictures.example/a.png",
    "file:///etc/passwd",
    "ftp://pictures.example/a.png",
    "gopher://pictures.example/_GET",
    "javascript:alert(1)",
    "dict://pictures.example:80/",
    "unix:///var/run/docker.sock",
    "http:///a.png",
    "http://user@pictures.example/",
    "http://user:password@pictures.example/",
    "http://@pictures.example/",
    "http://pictures.example:22/",
    "http://pictures.example:6379/",
    "http://pictures.example:0/",
    "http://pictures.example:65536/",
    "http://pictures.example:-80/",
    "http://pictures.example:x/",
    "http://localhost/",
    "http://localhost./",
    "http://metadata/",
    "http://127.1/",
    "http://0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.1.1/",
    "http://1.2.3.256/",
    "http://pictures.0x7f/",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://[::1]x/",
    "http://[v1.a]/",
    "http://pictures..example/",
    "http://-pictures.example/",
    "http://pictures.example../",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 200}example/",
    "http://pic%74ures.example/",
    "http://pictures.example\\@10.0.0.1/",
    "http://pictures.example/\r\nHost: 10.0.0.1",
    "http://pictures.example/ HTTP/1.1",
    "http://pictures.example\t/",
    "\thttp://pictures.example/",
    "http://pictures.example/\x00",
    "http://pictures.example/\ud800",
    "http://pictures.example/" + "a" * 5000,
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_is_refused(url: str) -> None:
    with pytest.raises(ImageUrlRefused):
        target_of(url, (80, 443))


@pytest.mark.parametrize(
    ("url", "host", "authority", "path"),
    [
        ("http://Pictures.Example", "pictures.example", "pictures.example", "/"),
        ("https://pictures.example./a?b=c#d", "pictures.example", "pictures.example", "/a?b=c"),
        ("https://pictures.example:80/", "pictures.example", "pictures.example:80", "/"),
        (
            "http://b\u00fccher.example/\u00e4 b".replace(" ", "%20"),
            *["xn--bcher-kva.example"] * 2,
            "/%C3%A4%20b",
        ),
        ("http://93.184.216.34/", "93.184.216.34", "93.184.216.34", "/"),
        ("http://[2606:4700::1]:443/", "2606:4700::1", "[2606:4700::1]:443", "/"),
        # Full-width characters are ASCII after all: what they name is seen, and checked later.
        ("http://\uff11\uff12\uff17\u30020\u30020\u30021/", "127.0.0.1", "127.0.0.1", "/"),
        ("http://[::ffff:7f00:1]/", "::ffff:7f00:1", "[::ffff:7f00:1]", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, authority: str, path: str) -> None:
    target = target_of(url, (80, 443))
    assert (target.host, target.authority, target.path) == (host, authority, path)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "",
    ],
)
def test_an_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_an_address_is_public(address: str) -> None:
    assert is_public(address)
