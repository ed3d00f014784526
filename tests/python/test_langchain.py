"""What LangChain's classes send, and what they make of answers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from app.client.in_process import InProcess
from app.langchain.answers import generation_chunk
from app.langchain.messages import wire_messages
from app.langchain.structured import response_format
from sllm import ChatSLLM, SLLMEmbeddings


@pytest.fixture(autouse=True)
def _here(local: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes without an address use the models of the tests."""
    monkeypatch.setattr("app.client.in_process.shared", lambda: local)


CALL = {"name": "look", "args": {"name": "a"}, "id": "1", "type": "tool_call"}


def test_every_kind_of_message_is_sent() -> None:
    png = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    sent = wire_messages(
        [
            SystemMessage("Be brief."),
            HumanMessage([{"type": "text", "text": "What is it?"}, png]),
            AIMessage("", tool_calls=[CALL], additional_kwargs={"reasoning_content": "Hm."}),
            ToolMessage("red", tool_call_id="1"),
            AIMessage(
                [{"type": "reasoning", "reasoning": "So."}, {"type": "text", "text": "Red."}]
            ),
        ]
    )
    assert [message["role"] for message in sent] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert sent[1]["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert sent[2]["content"] is None
    assert sent[2]["reasoning_content"] == "Hm."
    assert sent[2]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"name": "a"}'}
    assert sent[3]["tool_call_id"] == "1"
    assert sent[4]["reasoning_content"] == "So."
    assert sent[4]["content"] == "Red."


def test_pieces_join_to_thinking_text_calls_and_usage() -> None:
    def piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "a", "model": "m", "choices": [choice]}

    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    begin = {"index": 0, "id": "c", "type": "function", "function": {"name": "look"}}
    more = {"index": 0, "function": {"arguments": '{"name": "a"}'}}
    chunks = [
        piece({"reasoning_content": "Hm"}),
        piece({"content": "I "}),
        piece({"content": "look."}),
        piece({"tool_calls": [begin]}),
        piece({"tool_calls": [more]}, "tool_calls"),
        {"id": "a", "model": "m", "choices": [], "usage": usage},
    ]
    whole = AIMessageChunk(content="")
    for chunk in chunks:
        found = generation_chunk(chunk)
        assert found
        assert isinstance(found.message, AIMessageChunk)
        whole += found.message
    assert whole.text == "I look."
    assert whole.additional_kwargs == {"reasoning_content": "Hm"}
    assert whole.content_blocks[0] == {"type": "reasoning", "reasoning": "Hm"}
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("look", {"name": "a"})]
    assert whole.usage_metadata
    assert whole.usage_metadata["input_token_details"] == {"cache_read": 1}
    assert whole.response_metadata["finish_reason"] == "tool_calls"


class Name(BaseModel):
    """A name."""

    name: str


def test_a_schema_of_a_class_is_sent_strict() -> None:
    wanted = response_format(Name, "json_schema", strict=None)["json_schema"]
    assert wanted["name"] == "Name"
    assert wanted["strict"] is True
    assert wanted["schema"]["properties"]["name"]["type"] == "string"
    with pytest.raises(ValueError, match="needs a schema"):
        response_format(None, "json_schema", strict=None)


LOOK: dict[str, Any] = {
    "name": "look",
    "description": "Look something up.",
    "parameters": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 6}},
        "required": ["name"],
        "additionalProperties": False,
    },
}


def test_a_chain_a_tool_and_an_object() -> None:
    chat = ChatSLLM(model="starter", temperature=0, seed=1)
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | chat
    answer = chain.invoke({"question": "Hello! What are you?"})
    assert isinstance(answer, AIMessage)
    assert answer.text
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] > 0
    for choice in ("any", "look", True):
        (call,) = chat.bind_tools([LOOK], tool_choice=choice).invoke("Look it up.").tool_calls
        assert call["name"] == "look"
        assert call["args"].keys() == {"name"}
    schema = {"title": "Thing", **LOOK["parameters"]}
    assert chat.with_structured_output(schema).invoke("A name.").keys() == {"name"}
    raw = chat.with_structured_output(schema, include_raw=True).invoke("A name.")
    assert raw["parsed"].keys() == {"name"}
    assert isinstance(raw["raw"], AIMessage)


def test_models_that_were_used_can_be_copied() -> None:
    chat, vectors = ChatSLLM(model="starter", max_tokens=1), SLLMEmbeddings(model="starter-embed")
    assert chat.invoke("a").usage_metadata
    assert vectors.embed_query("a")
    assert deepcopy(chat).invoke("a").usage_metadata
    assert deepcopy(vectors).embed_query("a")


def test_vectors_come_in_batches_with_progress() -> None:
    done: list[int] = []
    embeddings = SLLMEmbeddings(model="starter-embed", batch_size=4, on_progress=done.append)
    texts = [f"text {number}" for number in range(10)]
    vectors = embeddings.embed_documents(texts)
    assert done == [4, 8, 10]
    assert vectors[7] == pytest.approx(embeddings.embed_query("text 7"), abs=1e-5)
    assert len(SLLMEmbeddings(dimensions=16).embed_query("a")) == 16
