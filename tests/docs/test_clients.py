"""The page on clients names the versions that the tests are pinned to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"
PAGE = (ROOT / "docs" / "clients.md").read_text("utf-8")
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


@pytest.mark.parametrize("environment", PYTHON)
def test_versions_of_python_packages(environment: str) -> None:
    versions = pinned(environment)
    missing = [name for name in PYTHON[environment] if versions[name] not in PAGE]
    assert not missing


def test_versions_of_node_packages() -> None:
    assert not [name for name, version in NODE.items() if name != "zod" and version not in PAGE]


def test_the_version_of_the_sources_of_llama_cpp() -> None:
    text = (CLIENTS / "test_llama_cpp.py").read_text("utf-8")
    (version,) = re.findall(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    assert f"llama-cpp-python {version}" in PAGE
