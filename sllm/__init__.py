"""The models of this project for Python programs: over HTTP, or in the program itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.client.errors import SLLMError
    from app.langchain.chat import ChatSLLM
    from app.langchain.embeddings import SLLMEmbeddings
    from app.models.base import BaseEmbeddingModel, BaseLLMModel
    from app.models.manager import ModelManager

__all__ = [
    "BaseEmbeddingModel",
    "BaseLLMModel",
    "ChatSLLM",
    "ModelManager",
    "SLLMEmbeddings",
    "SLLMError",
]

_FROM = {
    "BaseEmbeddingModel": "app.models.base",
    "BaseLLMModel": "app.models.base",
    "ChatSLLM": "app.langchain.chat",
    "ModelManager": "app.models.manager",
    "SLLMEmbeddings": "app.langchain.embeddings",
    "SLLMError": "app.client.errors",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: not everybody has LangChain."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)
