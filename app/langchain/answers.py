"""Answers of the OpenAI dialect as messages of LangChain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

PROVIDER = "sllm"

Object = Mapping[str, Any]


def chat_result(answer: Object) -> ChatResult:
    """All choices of a whole answer; the usage is on the first."""
    generations = [_generation(choice, answer) for choice in answer["choices"]]
    message = generations[0].message
    assert isinstance(message, AIMessage)  # noqa: S101 — made below
    message.usage_metadata = usage_metadata(answer["usage"])
    about = {"model_name": answer["model"], "token_usage": answer["usage"]}
    return ChatResult(generations=generations, llm_output=about)


def _generation(choice: Object, answer: Object) -> ChatGeneration:
    sent = choice["message"]
    calls, invalid = [], []
    for call in sent.get("tool_calls") or ():
        try:
            calls.append(parse_tool_call(call, return_id=True))
        except Exception as error:  # cut off: LangChain keeps it, with the reason
            invalid.append(make_invalid_tool_call(call, str(error)))
    message = AIMessage(
        sent.get("content") or "",
        id=answer["id"],
        tool_calls=calls,
        invalid_tool_calls=invalid,
        additional_kwargs=_thinking(sent),
        response_metadata=_metadata(choice, answer),
    )
    return ChatGeneration(message=message, generation_info=_info(choice))


def _thinking(sent: Object) -> dict[str, Any]:
    thinking = sent.get("reasoning_content")
    return {"reasoning_content": thinking} if thinking else {}


def _metadata(choice: Object, answer: Object) -> dict[str, Any]:
    return {"model_provider": PROVIDER, "model_name": answer["model"], **_info(choice)}


def _info(choice: Object) -> dict[str, Any]:
    found = {"finish_reason": choice["finish_reason"], "logprobs": choice.get("logprobs")}
    return {name: value for name, value in found.items() if value is not None}


def usage_metadata(usage: Object) -> UsageMetadata:
    """Tokens of a request as LangChain counts them."""
    found = UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
    )
    if cached := usage["prompt_tokens_details"]:
        found["input_token_details"] = InputTokenDetails(cache_read=cached["cached_tokens"])
    if details := usage.get("completion_tokens_details"):
        reasoning = details["reasoning_tokens"]
        found["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return found


def generation_chunk(chunk: Object) -> ChatGenerationChunk | None:
    """A piece of an answer; None for a chunk that holds nothing. The last one has the usage."""
    if not chunk["choices"]:
        usage = chunk.get("usage")
        return _last(usage) if usage else None
    choice = chunk["choices"][0]
    delta = choice["delta"]
    message = AIMessageChunk(
        content=delta.get("content") or "",
        id=chunk["id"],
        tool_call_chunks=[_call_chunk(call) for call in delta.get("tool_calls") or ()],
        additional_kwargs=_thinking(delta),
        response_metadata=_metadata(choice, chunk) if choice["finish_reason"] else {},
    )
    return ChatGenerationChunk(message=message, generation_info=_info(choice) or None)


def _last(usage: Object) -> ChatGenerationChunk:
    message = AIMessageChunk(
        content="", usage_metadata=usage_metadata(usage), chunk_position="last"
    )
    return ChatGenerationChunk(message=message)


def _call_chunk(call: Object) -> Any:
    function = call["function"]
    return tool_call_chunk(
        name=function.get("name"),
        args=function.get("arguments"),
        id=call.get("id"),
        index=call["index"],
    )
