"""LangChain's standard tests of chat models, for ChatOpenAI with this server's address.

The model is the starter, of a few megabytes: what it writes does not follow from the question, and
seldom ends. A bias for the quotation mark ends its strings in JSON.
"""

import os
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

UNDERSTANDS = "wants a model that understands the question"
LEFT_OUT = {
    "test_tool_calling": UNDERSTANDS,
    "test_tool_calling_async": UNDERSTANDS,
    "test_bind_runnables_as_tools": UNDERSTANDS,
    "test_tool_calling_with_no_arguments": UNDERSTANDS,
    "test_agent_loop": UNDERSTANDS,
    "test_unicode_tool_call_integration": UNDERSTANDS,
}


class TestOurs(ChatModelIntegrationTests):
    """A small model behind OpenAI's API."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        """What LangChain's users use for a server that is not OpenAI's."""
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """``stream_usage`` is off by default for servers that are not OpenAI's."""
        return {
            "model": "starter",
            "base_url": f"{os.environ['ADDRESS']}/v1",
            "api_key": "none",
            "max_tokens": 400,
            "temperature": 1,
            "seed": 1,
            "logit_bias": {os.environ["QUOTATION_MARK"]: 12},
            "stream_usage": True,
        }

    @property
    def supports_image_inputs(self) -> bool:
        """The starter sees nothing; pictures are in the other checks, with starter-vision."""
        return False

    @property
    def supports_model_override(self) -> bool:
        """Any model of the server."""
        return True

    @property
    def model_override_value(self) -> str:
        """The other starter."""
        return "starter-vision"

    @property
    def supports_json_mode(self) -> bool:
        """Its test wants the keys that the question names, of a model that understands it."""
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is left out. This module is loaded as a plugin as well, for this hook."""
    for item in items:
        if reason := LEFT_OUT.get(item.originalname):
            item.add_marker(pytest.mark.skip(reason=reason))
