"""The Open WebUI program talks to this server, as people see it in a browser.

It is no small package, so it is not installed for the tests: ``OPEN_WEBUI=…/bin/open-webui`` names
it. ``OPEN_WEBUI_SEEN`` names a folder for pictures and for the requests that were seen.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import open_webui
from tests.clients.conftest import END, STARTERS, TEMPLATE
from tests.clients.open_webui import OpenWebUI
from tests.clients.recorder import Requests, recording
from tests.conftest import MODELS, ONE_THREAD, link_models, serving
from tests.page import chromium
from tests.provider.scripted import CONTROL, make

KEY = "a-key-of-this-server"
PROMPTS = Path(__file__).parents[2] / "prompts"
CIRCLE = Path(__file__).parents[2] / "docs" / "circle.png"
SEEN = os.environ.get("OPEN_WEBUI_SEEN")

pytestmark = pytest.mark.skipif(
    open_webui.PROGRAM not in os.environ, reason=f"{open_webui.PROGRAM} names no program"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models, which a test puts another one into."""
    folder = tmp_path_factory.mktemp("models")
    link_models(folder, *STARTERS)
    make(folder / "endless.gguf", TEMPLATE, ["x", "x"], CONTROL, eos=END)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[httpx.Client]:
    with serving(
        models_dir=folder,
        prompts_dir=PROMPTS,
        api_keys=[KEY],
        context_length=10**6,
        default_max_tokens=10**6,
        engine_threads=ONE_THREAD,
    ) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client


@pytest.fixture(scope="module")
def recorded(server: httpx.Client) -> Iterator[tuple[str, Requests]]:
    """The address before the server, and the requests that came there."""
    port = 8000 if SEEN else 0  # what a reader of the pictures has
    with recording(str(server.base_url), port) as (address, requests):
        yield address, requests
        if SEEN:
            text = json.dumps(requests, indent=1, ensure_ascii=False)
            (Path(SEEN) / "requests.json").write_text(text, "utf-8")


@pytest.fixture(scope="module")
def program(
    recorded: tuple[str, Requests], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenWebUI]:
    chromium.require()
    data = tmp_path_factory.mktemp("open_webui")
    settings = open_webui.settings(recorded[0], KEY, data)
    with (
        open_webui.running(settings, data / "log") as address,
        chromium.running() as browser,
    ):
        program = OpenWebUI(browser, address)
        program.enter()
        yield program


@pytest.fixture
def requests(recorded: tuple[str, Requests]) -> Requests:
    """What comes to the server from now on."""
    if not SEEN:
        recorded[1].clear()
    return recorded[1]


def picture(program: OpenWebUI, name: str) -> None:
    if SEEN:
        time.sleep(1)  # until things have stopped moving
        program.browser.picture(Path(SEEN) / f"{name}.png")


def says(text: str) -> str:
    """The expression that is true as soon as the page says this."""
    return f"document.body.innerText.includes('{text}')"


def asked(requests: Requests, text: str, **fields: Any) -> dict[str, Any]:
    """The body of the last request that says this and has these fields, as soon as it comes."""
    deadline = time.monotonic() + 60
    while True:
        bodies = [
            body
            for body in (each.get("body") or {} for each in requests)
            if text in json.dumps(body, ensure_ascii=False) and fields.items() <= body.items()
        ]
        if bodies:
            return dict(bodies[-1])
        assert time.monotonic() < deadline, text
        time.sleep(0.05)


def test_the_key_is_checked(program: OpenWebUI) -> None:
    program.open("/admin/settings/connections")
    browser = program.browser
    browser.wait(
        "[...document.querySelectorAll('button')].some((e) => e.ariaLabel === 'Configure')"
    )
    program.press("Configure")
    browser.find("#url-input")
    picture(program, "connection")
    program.press("Verify Connection")
    browser.wait(says("Server connection verified"))
    browser.type("input[id^=password-input]", "wrong")
    program.press("Verify Connection")
    browser.wait(says("This API key is not known here."))


def test_a_model_appears_when_its_file_does(program: OpenWebUI, folder: Path) -> None:
    program.open("/")
    assert {"starter", "starter@sql_assistant"} <= set(program.models("starter"))
    picture(program, "models")
    shutil.copy(MODELS / "starter.gguf", folder / "another.gguf")
    program.open("/")
    assert "another" in program.models("another")
    program.begin("another", "Hello! What are you?")
    assert program.answer()
    (folder / "another.gguf").unlink()


def test_a_chat_streams_and_gets_a_title_and_tags(program: OpenWebUI, requests: Requests) -> None:
    program.begin("starter", "How do I stream an answer?")
    assert "/api/v2/chat/stream" in program.answer()
    assert asked(requests, "How do I stream an answer?", stream=True)["model"] == "starter"
    for task in ("concise title", "follow_ups", "tags categorizing"):
        assert not asked(requests, task)["stream"]
    program.ask("Where are the docs?")
    roles = [
        each["role"] for each in asked(requests, "Where are the docs?", stream=True)["messages"]
    ]
    assert roles == ["user", "assistant", "user"]
    assert program.answer()


def test_a_template_is_a_model(program: OpenWebUI, requests: Requests) -> None:
    program.begin("starter@sql_assistant", "Hello! What can you do?")
    assert program.answer()
    assert asked(requests, "What can you do?")["model"] == "starter@sql_assistant"


def test_a_picture_is_seen(program: OpenWebUI) -> None:
    program.begin("starter-vision", "What is in the picture?", CIRCLE)
    assert "red circle" in program.answer()
    picture(program, "picture")


def test_a_model_that_does_not_see_says_which_does(program: OpenWebUI) -> None:
    program.begin("starter", "What is in the picture?", CIRCLE)
    assert "starter-vision" in program.answer()


def test_the_switch_for_vision(program: OpenWebUI) -> None:
    program.edit("Starter")
    picture(program, "vision")
    program.press("Vision")
    program.press("Save & Update")
    program.browser.wait(says("updated successfully"))
    program.open("/")
    program.choose("starter")
    program.upload(CIRCLE)
    program.browser.wait(says("do not support image inputs"))


def test_a_file_is_searched_with_our_vectors(
    program: OpenWebUI, requests: Requests, tmp_path: Path
) -> None:
    file = tmp_path / "garden.txt"
    file.write_text("The unicorn garden opens on Tuesdays. Tickets cost seven coins.\n")
    program.begin("starter", "When does the garden open?", file)
    assert "1 Source" in program.answer()
    assert asked(requests, '"input_type": "document"')["model"] == "starter-embed"
    assert asked(requests, '"input_type": "query"')["model"] == "starter-embed"
    assert "opens on Tuesdays" in json.dumps(asked(requests, "<source id="))


def test_stop_stops_the_engine(program: OpenWebUI, server: httpx.Client) -> None:
    program.begin("endless", "Write an x.")
    program.browser.wait("(document.querySelector('.chat-assistant')?.innerText ?? '').length > 99")
    assert active(server)
    program.press("Stop")
    deadline = time.monotonic() + 60
    while active(server):
        assert time.monotonic() < deadline, "it goes on for nobody"
        time.sleep(0.05)
    assert set(program.answer().rpartition("\n")[2]) == {"x"}


def active(server: httpx.Client) -> int:
    count: int = server.get("/health").json()["models"]["endless"]["active"]
    return count
