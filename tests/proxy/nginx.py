"""nginx with the configuration that ships, before servers of the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import Any

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "docker" / "nginx.conf"
KEPT = ROOT / ".cache" / "nginx"
PACKAGES = ("nginx", "nginx-light", "nginx-core")
"""Debian's and Ubuntu's, of which one has the program; which one changes with the release."""
GIVEN_TO_NOBODY = range(20_000, 32_000)
"""Ports that systems give to nobody who asks for any, as clients do with each connection."""


class NotInstalled(Exception):
    """nginx is neither on this machine nor to be had; ``str()`` says what was tried."""


def program() -> Path:
    """The program: installed, or unpacked into the cache; raises NotInstalled."""
    for found in (shutil.which("nginx"), "/usr/sbin/nginx", KEPT / "usr/sbin/nginx"):
        if found and Path(found).exists():
            return Path(found)
    if os.environ.get("OFFLINE") == "1" or not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise NotInstalled(
            "nginx was not found, and cannot be fetched with apt-get: install it, "
            "sudo apt install nginx-light."
        )
    return _fetch()


def _fetch() -> Path:
    """Unpack a package without installing it, for which one need not be root."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            _run(["apt-get", "download", package], folder)
            for archive in Path(folder).glob("*.deb"):
                _run(["dpkg-deb", "-x", str(archive), "."], folder)
            found = Path(folder, "usr/sbin/nginx")
            if found.exists() and _run([str(found), "-v"], folder) == 0:
                (KEPT / "usr/sbin").mkdir(parents=True, exist_ok=True)
                return found.replace(KEPT / "usr/sbin/nginx")
    raise NotInstalled(f"nginx was not found, and apt-get could fetch none of {PACKAGES}.")


def _run(command: list[str], folder: str) -> int:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def configuration(servers: Sequence[int], port: int, folder: Path) -> str:
    """What ships, with these ports of servers, this port to listen on, and another /tmp."""
    text = SHIPPED.read_text(encoding="utf-8")
    replaced = {f"api{number}:8000": f"127.0.0.1:{at}" for number, at in enumerate(servers, 1)}
    for old, new in (replaced | {"listen 8080": f"listen 127.0.0.1:{port}"}).items():
        assert old in text
        text = text.replace(old, new)
    return text.replace(" /tmp/", f" {folder}/")


@contextmanager
def before(servers: Sequence[int], port: int) -> Iterator[str]:
    """Run nginx as somebody without rights; gives its address."""
    with tempfile.TemporaryDirectory(prefix="nginx") as name:
        folder = Path(name)
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
            options = {"user": "nobody", "extra_groups": []}
        file = folder / "nginx.conf"
        file.write_text(configuration(servers, port, folder), encoding="utf-8")
        command = [str(program()), "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=folder, stderr=log, **options)
        try:
            _wait_for(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(process: subprocess.Popen[Any], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nginx does not run: {log.read_text()}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, and nobody gets who does not ask for that number."""
    draw, found = SystemRandom(), list[int]()
    with ExitStack() as taken:
        while len(found) < count:
            port = draw.choice(GIVEN_TO_NOBODY)
            with suppress(OSError):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
