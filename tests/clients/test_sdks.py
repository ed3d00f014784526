"""SDKs and frameworks of others, each with what its users do. The checks are in ``scripts``."""

from __future__ import annotations

import pytest

from tests.clients.environments import node_with, python_with, run, run_node
from tests.clients.reports import PASSED, checks_of, made_once

PYTHON = {
    "openai_python.py": "sdks",
    "anthropic_python.py": "sdks",
    "openai_responses.py": "sdks",
    "open_responses.py": "sdks",
    "openai_embeddings.py": "sdks",
    "sdk_types.py": "sdks",
    "langchain_chat.py": "langchain",
    "langchain_embeddings.py": "langchain",
    "llama_index_chat.py": "llama_index",
    "llama_index_embeddings.py": "llama_index",
    "cohere_python.py": "cohere",
    "local_llm_interface.py": "local_llm_interface",
    "litellm_chat.py": "litellm",
}
"""Which environment each script runs in."""
NODE = ("openai_node.mjs", "openai_node_embeddings.mjs", "ai_sdk.mjs")
CASES = [(script, check) for script in (*PYTHON, *NODE) for check in checks_of(script)]


@pytest.mark.parametrize(("script", "check"), CASES)
def test_client(
    script: str, check: str, address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcomes = made_once(tmp_path_factory, script, lambda: _printed(script, address))
    if outcomes[check] != PASSED:
        pytest.fail(outcomes[check], pytrace=False)


def _printed(script: str, address: str) -> str:
    if script in NODE:
        return run_node(node_with("node"), script, address)
    return run(python_with(PYTHON[script]), script, address)
