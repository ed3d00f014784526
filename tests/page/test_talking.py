"""People talk on the page, in a real browser, with a real server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import serving
from tests.media.files import drawing, saved
from tests.page.chromium import ENTER, ESCAPE, SHIFT, Browser
from tests.page.halting import Halting
from tests.page.page import ENDED, Page

HALTED = "document.querySelector('.assistant > .markdown')?.textContent.length >= arguments[0]"
"""All is seen that comes before the answer halts."""
AT_END = (
    "(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 80)"
    "(document.getElementById('main'))"
)
"""The end of the last answer is seen."""


def test_a_message_is_answered_and_stored(page: Page, server: httpx.Client) -> None:
    assert page.ask("hello there") == "hello there"
    assert page.ask("and **more**") == "and more"
    assert page.browser.text("#title") == "hello there"
    stored = server.get(f"/api/v6/conversations/{page.id}").json()
    assert [one["content"] for one in stored["messages"]][::2] == ["hello there", "and **more**"]
    page.browser.wait("document.querySelector('[aria-current] span')?.innerText === 'hello there'")


def test_by_keys_and_ears(page: Page) -> None:
    browser = page.browser
    assert page.ask("say it") == "say it"
    assert page.announced() == "Answer: say it"
    assert browser.run("return document.getElementById('hint').hidden")  # There is a real model.
    browser.command("Emulation.setFocusEmulationEnabled", enabled=True)
    browser.run("document.getElementById('new').focus()")
    browser.press("Tab", shift=True)
    assert browser.run("return document.activeElement.innerText") == "Skip to the message"
    assert browser.run("return document.activeElement.clientWidth") > 100
    browser.press("Enter")
    assert browser.run("return document.activeElement.id") == "message"


def test_an_opened_conversation_shows_its_messages(page: Page) -> None:
    page.ask("first words")
    name = page.id
    page.browser.click("#new")
    page.browser.wait("document.querySelectorAll('.message').length === 0")
    page.browser.wait("document.querySelector('#welcome').checkVisibility()")
    page.browser.click(f'a[href="#{name}"]')
    page.browser.wait(ENDED)
    assert (page.questions(), page.answers()) == (["first words"], ["first words"])


def test_shift_enter_begins_a_line(page: Page) -> None:
    page.browser.type("#message", f"one{SHIFT}{ENTER}{SHIFT}two{ENTER}")
    assert page.answer() == "onetwo"
    assert page.questions() == ["one\ntwo"]


def test_enter_of_an_input_method_sends_nothing(page: Page) -> None:
    browser = page.browser
    browser.click("#message")
    browser.command("Input.imeSetComposition", text="안녕", selectionStart=2, selectionEnd=2)
    enter = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229}
    browser.command("Input.dispatchKeyEvent", type="rawKeyDown", **enter)
    browser.run(
        "document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown',"
        "{key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    browser.command("Input.insertText", text="안녕")  # The method has finished the syllable.
    assert page.questions() == []
    browser.type("#message", ENTER)
    assert page.answer() == "안녕"


def test_stop_keeps_what_came(page: Page, server: httpx.Client, halting: Halting) -> None:
    page.choose(halting.name)
    page.begin("go on")
    page.browser.wait(HALTED, len(halting.beginning))
    page.browser.type("#message", ESCAPE)
    answer = page.answer()
    page.browser.wait(AT_END)
    assert answer == halting.beginning
    assert "stopped" in page.browser.text(".assistant footer")
    messages = server.get(f"/api/v6/conversations/{page.id}").json()["messages"]
    assert messages[-1]["status"] == "stopped"
    assert messages[-1]["content"].strip() == answer


def test_an_answer_goes_on_after_a_reload(page: Page, halting: Halting) -> None:
    page.choose(halting.name)
    page.begin("go on")
    page.browser.wait(HALTED, len(halting.beginning))
    page.browser.call("refresh")
    page.browser.wait("document.querySelector('#stop').checkVisibility()")
    page.browser.wait(HALTED, len(halting.beginning))
    halting.may_go_on.set()
    assert page.answer() == halting.answer
    page.browser.wait(AT_END)
    assert "stopped" not in page.browser.text(".assistant footer")


def test_a_changed_question_begins_a_branch(page: Page) -> None:
    page.ask("first")
    page.ask("second")
    page.browser.click('.user [aria-label="Change the question"]')
    page.browser.run("document.getElementById('message').value = ''")
    page.browser.type("#message", f"other{ENTER}")
    page.browser.wait("document.querySelectorAll('.message').length === 2")
    assert page.answer() == "other"
    assert "2 / 2" in page.browser.text(".user footer")
    page.browser.click('.user [aria-label="Previous branch"]')
    page.browser.wait("document.querySelectorAll('.message').length === 4")
    assert page.questions() == ["first", "second"]
    page.browser.call("refresh")
    page.browser.wait("document.querySelectorAll('.message').length === 4")


def test_a_question_is_answered_again(page: Page) -> None:
    page.ask("once more")
    page.browser.click('[aria-label="Answer again"]')
    page.browser.wait("document.querySelector('.assistant footer')?.innerText.includes('2 / 2')")
    assert page.answers() == ["once more"]


def test_a_conversation_is_renamed_searched_and_deleted(page: Page, server: httpx.Client) -> None:
    page.ask("zebra crossing")
    name = page.id
    page.browser.click("#open-options")
    page.browser.click("[value=rename]")
    page.browser.accept("Stripes")
    page.browser.wait("document.getElementById('title').innerText === 'Stripes'")
    assert server.get(f"/api/v6/conversations/{name}").json()["title"] == "Stripes"
    page.browser.type("#search", "zebra")
    page.browser.wait("document.querySelectorAll('#conversations a').length === 1")
    assert page.browser.text("#conversations") == "Stripes\nzebra crossing"
    page.browser.click("#open-options")
    page.browser.click("[value=delete]")
    page.browser.accept()
    page.browser.wait("document.getElementById('empty').innerText === 'No conversations.'")
    assert server.get(f"/api/v6/conversations/{name}").status_code == 404


def test_a_conversation_is_exported(page: Page) -> None:
    page.ask("take this with you")
    script = (
        "const kept = URL.createObjectURL; URL.createObjectURL = (blob) => "
        "{ blob.text().then((text) => { window.saved = text; }); return kept(blob); }"
    )
    page.browser.run(script)
    page.browser.click("#open-options")
    page.browser.click("[value=json]")
    saved_file = json.loads(page.browser.wait("window.saved"))
    assert saved_file["conversation"]["messages"][0]["content"] == "take this with you"


def paste_picture(page: Page) -> None:
    file = base64.b64encode(saved(drawing(), "PNG")).decode()
    script = (
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
        "const data = new DataTransfer();"
        "data.items.add(new File([bytes], 'a.png', {type: 'image/png'}));"
        "const field = document.getElementById('message');"
        "field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))"
    )
    page.browser.run(script, file)
    page.browser.wait("document.querySelectorAll('#pictures img').length === 1")


def test_pictures_go_to_a_model_that_sees_and_stay_with_it(page: Page) -> None:
    paste_picture(page)
    page.ask("what is it")
    assert page.browser.run("return document.getElementById('model').value") == "starter-vision"
    page.ask("and what else")
    assert page.browser.text(".assistant footer").count("starter-vision") == 2


def test_a_picture_is_stored_and_sent_again(page: Page) -> None:
    page.choose("echo-vision")
    paste_picture(page)
    assert page.ask("what is it").startswith("[image 40x30 ")
    page.browser.call("refresh")
    page.browser.wait("document.querySelector('.user img')?.naturalWidth === 40")
    page.browser.click('.user [aria-label="Change the question"]')
    page.browser.wait("document.querySelector('#pictures img')?.naturalWidth === 40")
    page.browser.type("#message", f" again{ENTER}")
    page.browser.wait("document.querySelector('.user footer')?.innerText.includes('2 / 2')")
    assert page.answer().startswith("[image 40x30 ")


def test_dropped_files_that_are_no_pictures_are_refused(page: Page) -> None:
    page.browser.run(
        "const data = new DataTransfer();"
        "data.items.add(new File(['x'], 'a.txt', {type: 'text/plain'}));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}))"
    )
    page.browser.wait("document.getElementById('banner').innerText.startsWith('a.txt')")
    assert page.browser.text("#pictures") == ""


def test_thinking_is_folded(page: Page) -> None:
    page.choose("thinker")
    assert page.ask("hi") == "Hello to you."
    state = "document.querySelector('.assistant details')"
    assert page.browser.run(f"return {state}.open") is False
    assert page.browser.run(f"return {state}.textContent") == "ThinkingThey greet."
    page.browser.call("refresh")
    page.browser.wait(ENDED)
    assert page.browser.run(f"return {state}.textContent") == "ThinkingThey greet."


def test_a_template_is_chosen(page: Page, server: httpx.Client) -> None:
    page.browser.click("#open-options")
    page.browser.wait("document.querySelector('#template [value=code_assistant]')")
    page.browser.run(
        "const t = document.getElementById('template'); t.value = 'code_assistant';"
        "t.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    page.browser.run("document.querySelector('#variables input').value = ''")
    page.browser.type("#variables input", "Go")
    page.browser.click("#options .button")
    page.ask("sum a column")
    stored = server.get(f"/api/v6/conversations/{page.id}").json()
    assert (stored["template"], stored["variables"]["language"]) == ("code_assistant", "Go")


@pytest.mark.parametrize(
    ("language", "placeholder"), [("ko", "메시지를 입력하세요"), ("zh", "输入消息")]
)
def test_the_language_is_chosen(page: Page, language: str, placeholder: str) -> None:
    page.browser.find("#language")
    page.browser.run(
        "const l = document.getElementById('language'); l.value = arguments[0];"
        "l.dispatchEvent(new Event('change'))",
        language,
    )
    page.browser.wait(
        "document.getElementById('message').placeholder === arguments[0]", placeholder
    )
    page.browser.call("refresh")
    page.browser.wait(
        "document.getElementById('message').placeholder === arguments[0]", placeholder
    )
    assert page.browser.run("return document.documentElement.lang") == language


def test_light_or_dark_is_kept(page: Page) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    before = page.browser.run(f"return {back}")
    page.browser.click("#theme")
    after = page.browser.run(f"return {back}")
    assert after != before
    page.browser.call("refresh")
    page.browser.find("#theme")
    assert page.browser.run(f"return {back}") == after


def test_on_a_phone_a_button_opens_the_list(page: Page) -> None:
    page.ask("on a phone")
    browser = page.browser
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.command("Emulation.setDeviceMetricsOverride", **metrics)
    try:
        browser.wait("!document.querySelector('#panel').checkVisibility()")
        browser.click("[popovertarget]")
        browser.click("#new")
        browser.wait("document.querySelector('#welcome').checkVisibility()")
        browser.wait("!document.querySelector('#panel').checkVisibility()")
    finally:
        browser.command("Emulation.clearDeviceMetricsOverride")


def test_a_key_is_asked_for_and_kept_for_the_tab(browser: Browser, empty_models: Path) -> None:
    with serving(api_keys=("right",), models_dir=empty_models) as client:
        page = Page(browser, str(client.base_url))
        browser.call("url", {"url": f"{page.address}/"})
        browser.type("#reply", f"wrong{ENTER}")
        browser.wait("document.getElementById('question-text').innerText.includes('not know')")
        browser.type("#reply", f"right{ENTER}")
        page.until_ready()
        assert page.ask("with a key") == "with a key"
        browser.call("refresh")
        browser.wait(ENDED)
        assert browser.run("return localStorage.getItem('api-key')") is None
