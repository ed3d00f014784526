"""Drives a headless Chromium by the WebDriver protocol, which is JSON over HTTP."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ENTER, SHIFT, ESCAPE, CONTROL, TAB = "\ue007", "\ue008", "\ue00c", "\ue009", "\ue004"

FLAGS = (
    "--headless",
    "--no-sandbox",  # which root has not; it sees nothing but our own page
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name that the protocol gives to references to elements."""


class NotInstalled(Exception):
    """There is no Chromium on this machine; ``str()`` says how to get it."""


def programs() -> tuple[str, str]:
    """Browser and driver; raises NotInstalled."""
    for browser in ("chromium", "google-chrome", "chromium-browser"):
        if (found := shutil.which(browser)) and (driver := shutil.which("chromedriver")):
            return found, driver
    raise NotInstalled("no Chromium was found: sudo apt install chromium chromium-driver")


def require() -> None:
    """Skip the test where there is no Chromium."""
    try:
        programs()
    except NotInstalled as error:
        pytest.skip(str(error))


class Browser:
    """One browser; its newest tab is the one that is driven."""

    def __init__(self, driver: httpx.Client, browser: str, folder: str) -> None:
        self._client = driver
        options = {"binary": browser, "args": [*FLAGS, f"--user-data-dir={folder}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._sent("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"

    def _sent(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json={} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def call(self, path: str, body: Any = None) -> Any:
        """Send a command of the protocol."""
        return self._sent("POST", f"{self._session}/{path}", body)

    def read(self, path: str) -> Any:
        """Ask for something."""
        return self._sent("GET", f"{self._session}/{path}")

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self.call("goog/cdp/execute", {"cmd": name, "params": parameters})

    def new_tab(self) -> str:
        """Open a tab and drive it from now on; gives its name."""
        name: str = self.call("window/new", {"type": "tab"})["handle"]
        self.switch(name)
        return name

    def switch(self, tab: str) -> None:
        """Drive this tab."""
        self.call("window", {"handle": tab})

    def close_others(self, kept: str) -> None:
        """Close all tabs but one, and forget what pages have stored."""
        for tab in self.read("window/handles"):
            if tab != kept:
                self.switch(tab)
                self._sent("DELETE", f"{self._session}/window")
        self.switch(kept)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns; it may await."""
        body = f"return (async () => {{ {script} }})()" if "await" in script else script
        return self.call("execute/sync", {"script": body, "args": [*arguments]})

    def wait(self, expression: str, *arguments: Any) -> Any:
        """The value of an expression, as soon as it is true."""
        deadline = time.monotonic() + 60
        while not (value := self.run(f"return {expression}", *arguments)):
            assert time.monotonic() < deadline, f"{expression}\n{self.text()}\n{self.log()}"
            time.sleep(0.02)
        return value

    def find(self, selector: str) -> str:
        """The reference to an element, as soon as it is shown."""
        self.wait("document.querySelector(arguments[0])?.checkVisibility()", selector)
        found = self.call("element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def click(self, selector: str) -> None:
        """Click on an element as people do."""
        self.call(f"element/{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self.call(f"element/{self.find(selector)}/value", {"text": text})

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key wherever the focus is."""
        event = {"key": key, "code": key, "modifiers": 8 if shift else 0}
        event |= {"windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", **event)

    def accept(self, text: str | None = None) -> None:
        """Say yes to the question of the browser, or answer it, as soon as it is asked."""
        deadline = time.monotonic() + 60
        path = f"{self._session}/alert"
        while self._client.get(f"{path}/text").status_code == 404:
            assert time.monotonic() < deadline, "nothing was asked"
            time.sleep(0.02)
        if text is not None:
            self._sent("POST", f"{path}/text", {"text": text})
        self._sent("POST", f"{path}/accept")

    def text(self, selector: str = "body") -> str:
        """What people read in all such elements."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)"
        return "\n".join(self.run(script, selector))

    def log(self) -> list[str]:
        """What the console has said since it was last asked for; errors of ours too."""
        entries = self.call("se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def picture(self, path: Path) -> None:
        """Save what is seen."""
        path.write_bytes(base64.b64decode(self.read("screenshot")))

    def end(self) -> None:
        """Close the browser."""
        self._sent("DELETE", self._session)


@contextmanager
def running() -> Iterator[Browser]:
    """A browser with an empty profile; raises NotInstalled."""
    browser, driver = programs()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [driver, "--port=0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                line = next(line for line in process.stdout if "successfully on port" in line)
                port = int(line.strip().rstrip(".").rpartition(" ")[2])
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                    made = Browser(client, browser, folder)
                    try:
                        yield made
                    finally:
                        made.end()
            finally:
                process.terminate()
