"""``ModelManager``: finds, loads and unloads the models of this program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.client.in_process import InProcess, shared
from app.models.base import BaseEmbeddingModel, BaseLLMModel, Loadable
from app.models.description import description, performance
from app.models.loader import ModelLoader
from app.provider.card import ModelCard
from app.provider.catalogue.checksum import checksum
from app.provider.errors import ModelNotFound

if TYPE_CHECKING:
    from app.langchain.chat import ChatSLLM
    from app.langchain.embeddings import SLLMEmbeddings

M = TypeVar("M", bound=Loadable)


class ModelManager:
    """The models of this program: of the models folder, and of classes of its own.

    There is one: every call of ``ModelManager()`` gives it. Its methods may be called from any
    thread. Settings are those of the server (``docs/settings.md``).
    """

    _instance: ModelManager | None = None
    _lock = threading.RLock()

    def __new__(cls) -> ModelManager:
        """Give the one there is."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
                cls._instance._own = {}
                cls._instance.loader = ModelLoader()
            return cls._instance

    _own: dict[tuple[str, type[Loadable]], Loadable]
    loader: ModelLoader

    def list_available_models(self) -> list[dict[str, Any]]:
        """What there is, with ``id``, ``type``, ``engine``, ``version``, ``state``."""
        cards = self._backend.thread.run(self._cards())
        listed = [description(card, self._pool.state(card.id)) for card in cards]
        return listed + [self._described(name, model) for (name, _), model in self._own.items()]

    def get_chat_model(
        self, name: str | None = None, cls: type[BaseLLMModel] | None = None, **options: Any
    ) -> ChatSLLM | BaseLLMModel:
        """The chat model of that name, or the default one (``DEFAULT_CHAT_MODEL``).

        ``cls`` runs it, or the class that is registered for its format; otherwise it is a
        ``ChatSLLM`` in this program, which takes ``options`` such as ``temperature``. Raises
        ModelNotFound, and ImportError without the extra ``langchain``.
        """
        own = self._own_model(name, cls, BaseLLMModel, options)  # type: ignore[type-abstract]
        if own is not None:
            return own
        from app.langchain.chat import ChatSLLM  # noqa: PLC0415 — needs an extra

        return ChatSLLM(model=name and self._card(name).id, **options)

    def get_embedding_model(
        self, name: str | None = None, cls: type[BaseEmbeddingModel] | None = None, **options: Any
    ) -> SLLMEmbeddings | BaseEmbeddingModel:
        """The embedding model of that name, or the default one; as ``get_chat_model``."""
        own = self._own_model(name, cls, BaseEmbeddingModel, options)  # type: ignore[type-abstract]
        if own is not None:
            return own
        from app.langchain.embeddings import SLLMEmbeddings  # noqa: PLC0415 — needs an extra

        return SLLMEmbeddings(model=name and self._card(name).id, **options)

    def register(self, format: str, cls: type[Loadable]) -> None:  # noqa: A002 — the project's name
        """Run models of a format with a class of one's own; see ``ModelLoader``."""
        self.loader.register(format, cls)

    def describe(self, name: str) -> dict[str, Any]:
        """Version, metadata, checksum and measured performance of one model.

        A checksum takes seconds for each gigabyte, once. Raises ModelNotFound.
        """
        card = self._card(name)
        found = description(card, self._pool.state(card.id))
        measured = self._backend.thread.run(self._pool.measured())
        return found | {
            "checksum": checksum(card),
            "performance": performance(measured, card.id),
        }

    def unload(self, name: str) -> None:
        """Give a model's memory back. Raises ModelNotFound, ModelInUse."""
        with self._lock:
            found = [key for key in self._own if key[0] == name]
            models = [self._own.pop(key) for key in found]
        for model in models:
            model.release()
        if not models:
            self._backend.thread.run(self._pool.unload(name))

    def unload_all(self) -> None:
        """Give the memory of all models back. Raises ModelInUse."""
        for name in {key[0] for key in self._own}:
            self.unload(name)
        for name in [*self._pool.health()]:
            self.unload(name)

    @property
    def _backend(self) -> InProcess:
        return shared()

    @property
    def _pool(self) -> Any:
        return self._backend.pool

    async def _cards(self) -> list[ModelCard]:
        cards: list[ModelCard] = await asyncio.to_thread(self._pool.cards)
        return cards

    def _card(self, name: str) -> ModelCard:
        found: ModelCard = self._backend.thread.run(self._pool.find(name))
        return found

    def _own_model(
        self,
        name: str | None,
        cls: type[M] | None,
        kind: type[M],
        options: Mapping[str, Any],
    ) -> M | None:
        """The model of a class of one's own; None where the engines of this project run it."""
        if name is None:
            return self._made(cls, cls.__name__, Path(), options) if cls else None
        card = self._found(name)
        path = card.path if card else self._backend.settings.models_dir / name
        cls = cls or self.loader.class_of(path, card, kind)
        return self._made(cls, name, path, options) if cls else None

    def _found(self, name: str) -> ModelCard | None:
        try:
            return self._card(name)
        except ModelNotFound:
            return None

    def _made(self, cls: type[M], name: str, path: Path, options: Mapping[str, Any]) -> M:
        """One model for each name and class."""
        with self._lock:
            found = self._own.get((name, cls))
            if not isinstance(found, cls):
                found = self._own[name, cls] = self.loader.make(cls, name, path, options)
            return found

    def _described(self, name: str, model: Loadable) -> dict[str, Any]:
        kind = "chat" if isinstance(model, BaseLLMModel) else "embedding"
        state = "ready" if model.is_loaded else "unloaded"
        return {"id": name, "type": kind, "engine": type(model).__name__, "state": state}
