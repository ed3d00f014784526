"""A browser for all tests, and servers for it; without Chromium these tests are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import link_models, serving
from tests.page import chromium
from tests.page.chromium import Browser
from tests.page.halting import Halting, halting_model
from tests.page.page import Page
from tests.provider.scripted import CONTROL, make
from tests.provider.scripted_answer import script_of

THINKING = "<think>\nThey greet.\n</think>\n\nHello to you."
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

PROMPTS = Path(__file__).parents[2] / "prompts"

OpenPage = Callable[[httpx.Client], Page]


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    chromium.require()
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def browser(chromium_browser: Browser) -> Iterator[Browser]:
    """The browser, with nothing stored and an empty log; a test must leave no error in it."""
    browser = chromium_browser
    kept = browser.read("window/handles")[0]
    browser.log()
    yield browser
    found = [line for line in browser.log() if "Failed to load resource" not in line]
    browser.close_others(kept)
    browser.command("Storage.clearDataForOrigin", origin="*", storageTypes="all")
    assert not found


@pytest.fixture
def page_of(browser: Browser) -> OpenPage:
    """Opens the page of a server."""
    return lambda server: Page(browser, str(server.base_url)).open()


@pytest.fixture(scope="session")
def halting_models() -> Iterator[Halting]:
    with halting_model() as model:
        yield model


@pytest.fixture
def halting(halting_models: Halting) -> Halting:
    """The model; its answers halt."""
    halting_models.may_go_on.clear()
    return halting_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, halting_models: Halting) -> Path:
    """The starters, a model that thinks, and one that halts."""
    folder = tmp_path_factory.mktemp("models")
    link_models(folder, "starter.gguf", "starter-vision.gguf", "mmproj-starter-vision.gguf")
    script = script_of(THINKING)
    end = "<|im_end|>"
    make(folder / "thinker.gguf", TEMPLATE, script.tokens, CONTROL, normal=script.normal, eos=end)
    halting_models.put_into(folder)
    return folder


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[httpx.Client]:
    """A server for all tests that need no other; they see each other's conversations."""
    with serving(
        models_dir=models,
        prompts_dir=PROMPTS,
        context_length=10**7,
        default_max_tokens=10**5,
    ) as client:
        yield client


@pytest.fixture
def page(page_of: OpenPage, server: httpx.Client) -> Page:
    """The page of that server, with a new conversation and the model ``echo``."""
    page = page_of(server)
    page.choose("echo")
    return page
