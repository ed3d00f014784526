"""LangChain's standard tests of chat models, for ChatOpenAI with this server's address."""

import os
from typing import Any

from langchain_openai import ChatOpenAI
from langchain_starter import DRAWN, AsksStarter, quotation_mark_bias
from langchain_tests.integration_tests import ChatModelIntegrationTests


class TestOurs(AsksStarter, ChatModelIntegrationTests):
    """A small model behind OpenAI's API."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        """What LangChain's users use for a server that is not OpenAI's."""
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """``stream_usage`` is off by default for servers that are not OpenAI's."""
        return {
            **DRAWN,
            "base_url": f"{os.environ['ADDRESS']}/v1",
            "api_key": "none",
            "logit_bias": quotation_mark_bias(),
            "stream_usage": True,
        }
