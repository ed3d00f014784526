"""``ModelManager``, and models of a program's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate

from app.client.in_process import InProcess
from app.models.base import BaseLLMModel as SameBase
from app.models.loader import ModelLoader
from app.models.manager import ModelManager as SameManager
from app.provider.errors import ModelNotFound
from sllm import BaseEmbeddingModel, BaseLLMModel, ChatSLLM, ModelManager, SLLMEmbeddings


@pytest.fixture
def manager(local: InProcess, monkeypatch: pytest.MonkeyPatch) -> ModelManager:
    monkeypatch.setattr("app.client.in_process.shared", lambda: local)
    monkeypatch.setattr("app.models.manager.shared", lambda: local)
    manager = ModelManager()
    monkeypatch.setattr(manager, "loader", ModelLoader())
    return manager


class Shouting(BaseLLMModel):
    """Only what a class must define."""

    loads = 0
    unloads = 0

    def load(self) -> None:
        type(self).loads += 1

    def unload(self) -> None:
        type(self).unloads += 1

    def invoke(self, prompt: str) -> str:  # type: ignore[override]
        if prompt == "fail":
            raise RuntimeError("no")
        return prompt.upper()


def test_there_is_one_manager_under_both_names(manager: ModelManager) -> None:
    assert ModelManager() is SameManager() is manager
    assert SameBase is BaseLLMModel


def test_models_of_the_folder(manager: ModelManager) -> None:
    listed = {model["id"]: model for model in manager.list_available_models()}
    assert listed["starter"]["type"] == "chat"
    assert listed["starter-embed"]["type"] == "embedding"
    chat = manager.get_chat_model("starter", temperature=0, max_tokens=4)
    assert isinstance(chat, ChatSLLM)
    assert chat.invoke("Hello!").text
    assert isinstance(manager.get_chat_model(), ChatSLLM)
    vectors = manager.get_embedding_model("starter-embed")
    assert isinstance(vectors, SLLMEmbeddings)
    assert len(vectors.embed_query("a")) == 192
    with pytest.raises(ModelNotFound):
        manager.get_chat_model("none")


def test_what_is_known_of_a_model(manager: ModelManager, local: InProcess) -> None:
    chat = manager.get_chat_model("starter", temperature=0)
    chat.invoke("Hello! What are you?")
    found = manager.describe("starter")
    assert len(found["checksum"]) == 64
    assert found["state"] == "ready"
    assert found["performance"]["tokens_per_second"] > 0
    assert found["performance"]["time_to_first_token_seconds"] > 0
    assert found["performance"]["memory_bytes"] > 10**7
    manager.unload("starter")
    assert manager.describe("starter")["state"] == "unloaded"


def test_a_class_of_ones_own_works_in_a_chain(manager: ModelManager) -> None:
    model = manager.get_chat_model("shouting", cls=Shouting)
    assert isinstance(model, Shouting)
    chain = PromptTemplate.from_template("hello {name}") | model | StrOutputParser()
    assert chain.invoke({"name": "you"}) == "HELLO YOU"
    assert [*chain.stream({"name": "me"})] == ["HELLO ME"]
    assert model.batch(["a", "b"]) == ["A", "B"]
    assert manager.get_chat_model("shouting", cls=Shouting) is model
    assert Shouting.loads == 1
    with pytest.raises(RuntimeError, match="no"):
        model.invoke("fail")
    assert model.invoke("still") == "STILL"
    assert [
        each["state"] for each in manager.list_available_models() if each["id"] == "shouting"
    ] == ["ready"]
    manager.unload("shouting")
    assert Shouting.unloads == 1


async def test_it_works_in_coroutines_and_threads(manager: ModelManager) -> None:
    model = manager.get_chat_model("shouting", cls=Shouting)
    before = Shouting.loads
    assert await model.ainvoke("a") == "A"
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(model.invoke, "abcdefgh")] == [*"ABCDEFGH"]
    assert Shouting.loads == before + 1
    manager.unload_all()


def test_many_threads_load_once(manager: ModelManager) -> None:
    started = threading.Barrier(8)

    class Slow(Shouting):
        loads = 0

        def load(self) -> None:
            super().load()
            threading.Event().wait(0.05)

    model = manager.get_chat_model("slow", cls=Slow)

    def ask(text: str) -> Any:
        started.wait(60)
        return model.invoke(text)

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(ask, "abcdefgh")] == [*"ABCDEFGH"]
    assert Slow.loads == 1
    manager.unload("slow")


def test_a_format_is_run_by_a_registered_class(
    manager: ModelManager, local: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "of-mine"
    saved.mkdir()
    (saved / "saved_model.pb").touch()
    settings = local.settings.model_copy(update={"models_dir": tmp_path})
    monkeypatch.setattr(local, "settings", settings)
    manager.register("saved_model.pb", Shouting)
    model = manager.get_chat_model("of-mine")
    assert isinstance(model, Shouting)
    assert model.path == saved
    with pytest.raises(TypeError, match="no BaseLLMModel"):
        manager.register("gguf", dict)  # type: ignore[arg-type]
    manager.unload("of-mine")


class Lengths(BaseEmbeddingModel):
    """The least that makes vectors."""

    def load(self) -> None:
        pass

    def unload(self) -> None:
        pass

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        assert self.is_loaded
        return [[float(len(text))] for text in texts]


def test_vectors_of_a_class_of_ones_own(manager: ModelManager) -> None:
    model = manager.get_embedding_model("lengths", cls=Lengths)
    assert model.embed_query("abc") == [3.0]
    assert model.embed_documents(["a", "bc"]) == [[1.0], [2.0]]
    manager.unload("lengths")
