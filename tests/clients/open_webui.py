"""Starts the Open WebUI program and drives its pages in a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.page.chromium import ELEMENT, ENTER, Browser

PROGRAM = "OPEN_WEBUI"
"""The environment variable that names the program ``open-webui``."""
START_S = 300

CAPABILITIES = {"builtin_tools": False, "usage": True}
"""Built-in tools take more tokens than a small model has."""

BUSY = "[...document.querySelectorAll('button')].some((e) => e.ariaLabel === 'Stop')"


def settings(address: str, key: str, folder: Path) -> dict[str, str]:
    """The environment for Open WebUI, with this server for everything; nothing is downloaded."""
    return {
        "DATA_DIR": str(folder),
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "WEBUI_AUTH": "false",
        "WEBUI_SECRET_KEY": "test",
        "ENABLE_OLLAMA_API": "false",
        "OPENAI_API_BASE_URL": f"{address}/v1",
        "OPENAI_API_KEY": key,
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_OPENAI_API_BASE_URL": f"{address}/v1",
        "RAG_OPENAI_API_KEY": key,
        "RAG_EMBEDDING_MODEL": "starter-embed",
        "RAG_EMBEDDING_PREFIX_FIELD_NAME": "input_type",
        "RAG_EMBEDDING_QUERY_PREFIX": "query",
        "RAG_EMBEDDING_CONTENT_PREFIX": "document",
        "DEFAULT_MODEL_METADATA": json.dumps({"capabilities": CAPABILITIES}),
    }


@contextmanager
def running(environment: dict[str, str], log: Path) -> Iterator[str]:
    """The address of an Open WebUI with this environment, as soon as it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [os.environ[PROGRAM], "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(process, address, log)
            yield address
        finally:
            process.terminate()


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
        try:
            if httpx.get(f"{address}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)


class OpenWebUI:
    """What people do in Open WebUI."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address

    def enter(self) -> None:
        """Open it for the first time, and close what it says is new."""
        self.open("/")
        shown = "[...document.querySelectorAll('button')].some((e) => e.innerText.includes('Okay'))"
        self.browser.wait(shown)
        self.press("Okay, Let's Go!")
        self.browser.wait(f"!{shown}")

    def open(self, path: str) -> None:
        """Open one of its pages."""
        self.browser.call("url", {"url": self.address + path})
        self.browser.wait("document.querySelector('#chat-input')")

    def press(self, name: str) -> None:
        """Press the button with that name, or that text."""
        script = (
            "const found = [...document.querySelectorAll('button')].filter((e) => "
            "e.checkVisibility() && (e.ariaLabel ?? e.innerText.trim()) === arguments[0]);"
            "found.pop()?.click(); return true"
        )
        self.browser.run(script, name)

    def models(self, searched: str) -> list[str]:
        """The ids of the models that a search in the list finds; the list stays open."""
        self.browser.click("#model-selector-model-button")
        self.browser.type("#model-search-input", searched)
        self.browser.wait("document.querySelector('[role=option]')")
        script = (
            "return [...document.querySelectorAll('[role=option]')].map((e) => e.dataset.value)"
        )
        found: list[str] = self.browser.run(script)
        return found

    def choose(self, model: str) -> None:
        """Choose a model in the list."""
        self.models(model)
        self.browser.click(f'[role=option][data-value="{model}"]')

    def begin(self, model: str, question: str, file: Path | None = None) -> None:
        """Begin a chat: with this model, perhaps with a file."""
        self.open("/")
        self.choose(model)
        if file:
            self.attach(file)
        self.ask(question)

    def ask(self, question: str) -> None:
        """Send a question in the chat that is open."""
        self.browser.click("#chat-input")
        self.browser.run("document.execCommand('insertText', false, arguments[0])", question)
        self.browser.type("#chat-input", ENTER)

    def upload(self, file: Path) -> None:
        """Choose a file in the dialogue for files."""
        where = {"using": "css selector", "value": "input[type=file][multiple]"}
        found = self.browser.call("element", where)[ELEMENT]
        self.browser.call(f"element/{found}/value", {"text": str(file)})

    def attach(self, file: Path) -> None:
        """Choose a file, and wait until it has been taken."""
        pictures = "document.querySelectorAll('#message-input-container img').length"
        text = "document.querySelector('#message-input-container').innerText"
        before = self.browser.run(f"return {pictures}")
        self.upload(file)
        taken = f"{pictures} > arguments[0] || {text}.includes(arguments[1])"
        self.browser.wait(taken, before, file.name)

    def edit(self, model: str) -> None:
        """Open the settings of a model, by the name that people see, with its capabilities."""
        self.open("/admin/settings/models")
        row = (
            "[...document.querySelectorAll('button')]"
            ".find((e) => e.innerText.split('\\n')[0].trim() === arguments[0])"
        )
        self.browser.wait(row, model)
        self.browser.run(f"{row}.click()", model)
        details = (
            "[...document.querySelectorAll('details')]"
            ".find((e) => e.textContent.trim().startsWith('Capabilities'))"
        )
        self.browser.wait(details)
        self.browser.run(f"const d = {details}; d.open = true; d.scrollIntoView()")

    def answer(self) -> str:
        """The last answer, as soon as it has ended."""
        self.browser.wait(f"document.querySelector('.chat-assistant') && !{BUSY}")
        return self.last()

    def last(self) -> str:
        """The last answer as far as it has come."""
        texts = "[...document.querySelectorAll('.chat-assistant')].map((e) => e.innerText)"
        found: str = self.browser.run(f"return {texts}.pop() ?? ''")
        return found.strip()
