"""Models of one's own: a class that loads, answers and unloads, and works in LangChain's chains.

Without LangChain the classes work as well, but have no ``|``.
"""

from __future__ import annotations

import functools
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.runnables import Runnable

    TextModel = Runnable[Any, str]
else:
    try:
        from langchain_core.embeddings import Embeddings
        from langchain_core.runnables import Runnable as TextModel
    except ImportError:
        Embeddings = TextModel = object


class Loadable(ABC):
    """What has to be loaded before it can be used. ``name`` is the model's, ``path`` its files'.

    ``options`` are what ``ModelManager`` was given beyond that.
    """

    name: str | None

    def __init__(self, name: str = "", path: Path | None = None, **options: Any) -> None:
        self.name = name
        self.path = path
        self.options = options

    @abstractmethod
    def load(self) -> None:
        """Read the weights; called before the first use."""

    @abstractmethod
    def unload(self) -> None:
        """Give the memory back."""

    @property
    def is_loaded(self) -> bool:
        """Whether ``load`` has been called since the last ``unload``."""
        return bool(self.__dict__.get("_loaded"))

    def ensure_loaded(self) -> None:
        """Load it, once, whichever thread comes first."""
        with _lock_of(self):
            if not self.is_loaded:
                self.load()
                self.__dict__["_loaded"] = True

    def release(self) -> None:
        """Unload it, if it is loaded."""
        with _lock_of(self):
            if self.is_loaded:
                self.__dict__["_loaded"] = False
                self.unload()


_making = threading.Lock()


def _lock_of(model: Loadable) -> AbstractContextManager[bool]:
    """The lock of one model: a subclass need not call ``__init__``."""
    with _making:
        lock: AbstractContextManager[bool] = model.__dict__.setdefault("_lock", threading.RLock())
        return lock


class BaseLLMModel(Loadable, TextModel):
    """A model that makes text. Define ``load``, ``unload`` and ``invoke``.

    ``invoke`` gets a text, whatever a chain passes on, and is only called when the model is
    loaded. What it raises ends that call alone.
    """

    @abstractmethod
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> str:  # noqa: A002 — LangChain's name
        """Answer a text."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "invoke" in cls.__dict__:
            cls.invoke = _with_text(cls.__dict__["invoke"])  # type: ignore[method-assign]


class BaseEmbeddingModel(Loadable, Embeddings):
    """A model that makes vectors. Define ``load``, ``unload`` and ``embed_documents``."""

    @abstractmethod
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in order."""

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.embed_documents([text])[0]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("embed_documents", "embed_query"):
            if name in cls.__dict__:
                setattr(cls, name, _when_loaded(cls.__dict__[name]))


def _with_text(answer: Callable[..., str]) -> Callable[..., str]:
    """``invoke`` as chains call it, around one that takes a text and perhaps no configuration."""
    parameters = inspect.signature(answer).parameters.values()
    takes_config = any(
        each.name == "config" or each.kind is each.VAR_KEYWORD for each in parameters
    )

    @functools.wraps(answer)
    def invoke(self: BaseLLMModel, input: Any, config: Any = None, **kwargs: Any) -> str:  # noqa: A002
        self.ensure_loaded()
        if takes_config and config is not None:
            kwargs["config"] = config
        return answer(self, text_of(input), **kwargs)

    return invoke


def _when_loaded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Loadable, *values: Any, **named: Any) -> Any:
        self.ensure_loaded()
        return method(self, *values, **named)

    return call


def text_of(prompt: Any) -> str:
    """A prompt of LangChain, messages, or a text, as text."""
    if isinstance(prompt, str):
        return prompt
    if hasattr(prompt, "to_string"):  # a PromptValue
        return str(prompt.to_string())
    from langchain_core.messages import convert_to_messages, get_buffer_string  # noqa: PLC0415

    messages = prompt if isinstance(prompt, (list, tuple)) else [prompt]
    return get_buffer_string(convert_to_messages(messages))
