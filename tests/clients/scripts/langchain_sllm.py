"""LangChain's standard tests for this project's own classes, with a server and without one.

Without ``ADDRESS`` the models are in this process.
"""

import os
from typing import Any

from langchain_starter import DRAWN, AsksStarter, quotation_mark_bias
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from sllm import ChatSLLM, SLLMEmbeddings

ADDRESS = os.environ.get("ADDRESS")


class Ours(AsksStarter):
    """What the suites are told of the chat model."""

    @property
    def chat_model_class(self) -> type[ChatSLLM]:
        """The class."""
        return ChatSLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """Fields without a parameter of their own are in ``model_kwargs``."""
        bias = {"logit_bias": quotation_mark_bias()}
        return {**DRAWN, "base_url": ADDRESS, "model_kwargs": bias}


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
