"""What people do on the page, for tests."""

from __future__ import annotations

from typing import Any

from tests.page.chromium import ENTER, Browser

ENDED = "document.querySelector('.assistant:last-child footer button') !== null"
"""The last answer has ended."""


class Page:
    """The page in a tab of its own."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address.rstrip("/")
        self.tab = browser.new_tab()

    def open(self, fragment: str = "") -> Page:
        """Open the page, and wait until it is ready."""
        self.browser.call("url", {"url": f"{self.address}/{fragment}"})
        self.until_ready()
        return self

    def until_ready(self) -> None:
        """Wait until it has read the list, and opened a conversation or a new one."""
        self.browser.wait("document.querySelector('#conversations li, #empty:not(:empty)')")
        self.browser.wait("document.querySelector('#title:not(:empty)')")

    def choose(self, model: str) -> None:
        """Choose a model, as soon as it is listed."""
        self.browser.wait("document.querySelector(`#model [value=${arguments[0]}]`)", model)
        script = "const m = document.getElementById('model'); m.value = arguments[0];"
        self.browser.run(f"{script} m.dispatchEvent(new Event('input'))", model)

    def begin(self, text: str) -> None:
        """Send a message; the answer is being made."""
        self.browser.find("#send")
        script = "const m = document.getElementById('message'); m.value = arguments[0]; m.focus()"
        self.browser.run(script, text)  # Typing a long text takes long.
        self.browser.type("#message", ENTER)

    def ask(self, text: str) -> str:
        """Send a message and wait for the answer."""
        before = len(self.answers())
        self.begin(text)
        self.browser.wait("document.querySelectorAll('.assistant').length > arguments[0]", before)
        return self.answer()

    def answer(self) -> str:
        """The last answer, as soon as it has ended."""
        self.browser.wait(ENDED)
        return self.answers()[-1]

    def answers(self) -> list[str]:
        """What all answers say, without thinking and facts."""
        script = (
            "return [...document.querySelectorAll('.assistant > .markdown')]"
            ".map((answer) => answer.textContent)"
        )
        found: list[str] = self.browser.run(script)
        return found

    def questions(self) -> list[str]:
        """What all questions say."""
        found: list[str] = self.browser.run(
            "return [...document.querySelectorAll('.bubble')].map((one) => one.textContent)"
        )
        return found

    def announced(self) -> str:
        """What readers of the screen were told last."""
        found: str = self.browser.run("return document.getElementById('status').textContent")
        return found

    @property
    def id(self) -> str:
        """Of the open conversation; empty for a new one."""
        found: str = self.browser.run("return location.hash.slice(1)")
        return found

    def module(self, name: str, expression: str, *arguments: Any) -> Any:
        """What an expression gives with a module of the page, ``m``."""
        script = f"const m = await import('/assets/page/{name}'); return {expression}"
        return self.browser.run(script, *arguments)
