"""A question that is asked while a conversation is being opened."""

from __future__ import annotations

import httpx

from tests.http.chatting import chat
from tests.page.chromium import ENTER
from tests.page.conftest import OpenPage

HOLD = """
const real = (window.real_fetch = fetch), [id] = arguments;
window.fetch = (address, ...more) => address.includes(id)
    ? new Promise((resolve) => { window.letGo = () => resolve(real(address, ...more)); })
    : real(address, ...more);
"""
"""What is read of a conversation waits until it is let go."""
FIELD = "document.getElementById('message').value"


def test_it_stays_in_the_field_and_goes_to_no_other(
    page_of: OpenPage, server: httpx.Client
) -> None:
    first, second = (chat(server, word, model="echo")["conversation_id"] for word in ("one", "two"))
    page = page_of(server)
    page.open(f"#{first}")
    page.browser.wait("document.querySelector('.assistant')")
    page.browser.run(HOLD, second)
    page.browser.click(f'#conversations [href="#{second}"]')
    page.browser.type("#message", f"three{ENTER}")
    page.browser.wait(f"window.letGo && {FIELD} === 'three'")
    page.browser.run("window.fetch = real_fetch; letGo()")
    page.browser.wait("document.querySelector('.bubble')?.textContent === 'two'")
    page.browser.type("#message", ENTER)
    page.browser.wait("document.querySelectorAll('.assistant').length === 2")
    assert page.answer() == "three"
    assert page.questions() == ["two", "three"]
    kept = server.get(f"/api/v6/conversations/{first}").json()["messages"]
    assert [one["content"] for one in kept] == ["one", "one"]
