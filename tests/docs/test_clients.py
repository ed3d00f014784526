"""The pages on clients name the versions that the tests are pinned to; what they show is whole."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.docs.pages import ROOT, blocks, text_of

CLIENTS = ROOT / "tests" / "clients"
PAGES = ("docs/clients.md", "docs/clients.ko.md")
GUIDES = {
    "Open WebUI",
    "Caret",
    "Cline",
    "Continue",
    "Zed",
    "Claude Code",
    "Codex",
    "aider",
    "curl",
    "LangChain",
    "LlamaIndex",
    "Vercel AI SDK",
}
"""Clients that have a section of their own, or share one."""
OUTCOMES = ("Run ", "Replayed", "Not run here", "실행", "재생")
"""What a section says of its client; one of them at the least."""
PYTHON = {
    "sdks": ("openai", "anthropic"),
    "langchain": ("langchain-openai", "langchain-tests"),
    "llama_index": (
        "openai",
        "llama-index-llms-openai-like",
        "llama-index-embeddings-openai-like",
        "llama-index-embeddings-jinaai",
        "llama-index-postprocessor-jinaai-rerank",
    ),
    "cohere": ("cohere",),
    "local_llm_interface": ("openai", "requests", "httpx"),
    "litellm": ("litellm",),
    "requests": ("requests", "sseclient-py"),
}
NODE = {
    name: version
    for folder in ("node", "mcp_suite")
    for name, version in json.loads((CLIENTS / folder / "package.json").read_text("utf-8"))[
        "dependencies"
    ].items()
}


def pinned(environment: str) -> dict[str, str]:
    lines = (CLIENTS / f"{environment}.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("environment", PYTHON)
def test_versions_of_python_packages(environment: str, page: str) -> None:
    versions, text = pinned(environment), text_of(page)
    assert [name for name in PYTHON[environment] if versions[name] not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_versions_of_node_packages(page: str) -> None:
    text = text_of(page)
    assert [name for name, version in NODE.items() if name != "zod" and version not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_version_of_the_sources_of_llama_cpp(page: str) -> None:
    module = (CLIENTS / "test_llama_cpp.py").read_text("utf-8")
    (version,) = re.findall(r'^VERSION = "(.+)"$', module, re.MULTILINE)
    assert f"llama-cpp-python {version}" in text_of(page)


@pytest.mark.parametrize("page", PAGES)
def test_every_guide_says_what_was_seen(page: str) -> None:
    sections = dict(
        re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text_of(page), re.DOTALL | re.MULTILINE)
    )
    titles = {name: title for name in GUIDES for title in sections if name in title}
    assert titles.keys() == GUIDES
    silent = [
        title for title in titles.values() if not any(one in sections[title] for one in OUTCOMES)
    ]
    assert silent == []


def test_files_for_clients_can_be_read() -> None:
    """TOML and JSON, with this server's address."""
    (codex,), (zed,) = blocks(PAGES[0], "toml"), blocks(PAGES[0], "json")
    provider = tomllib.loads(codex)["model_providers"]["sllm"]
    assert provider["base_url"] == "http://127.0.0.1:8000/v1"
    (editor,) = json.loads(zed)["language_models"]["openai_compatible"].values()
    assert editor["api_url"] == provider["base_url"]
