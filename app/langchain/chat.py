"""``ChatSLLM``: the chat models of this project in LangChain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from app.client.backend import CHAT
from app.client.errors import SLLMError
from app.langchain.answers import PROVIDER, chat_result, generation_chunk
from app.langchain.connection import Connection
from app.langchain.messages import wire_messages
from app.langchain.structured import Method, Schema, output_parser, parsed, response_format

_SENT = (
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "stop",
    "reasoning_effort",
)
"""Fields that go into the request under their own names."""


class ContextOverflow(SLLMError, ContextOverflowError):
    """The prompt is longer than the model's context."""


class ChatSLLM(Connection, BaseChatModel):
    """A chat model: of the server at ``base_url``, or without one in this program.

    Where they are not given, ``SLLM_BASE_URL`` and ``SLLM_API_KEY`` of the environment say where
    and with which key. Without ``model`` the default chat model answers. ``max_retries`` and
    ``timeout`` (seconds) are those of requests to a server. ``model_kwargs`` are further fields of
    the request body, as ``/docs?version=openai`` documents them. Raises SLLMError.
    """

    model: str | None = Field(default=None, alias="model_name")
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] | None = Field(default=None, alias="stop_sequences")
    reasoning_effort: str | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())

    @property
    def _llm_type(self) -> str:
        return PROVIDER

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"base_url": self.base_url, **self._fields()}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop, **kwargs)
        params["ls_provider"] = PROVIDER
        return params

    def _fields(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in _SENT}
        return {name: value for name, value in found.items() if value is not None}

    def _body(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        body = {**self._fields(), **self.model_kwargs, **options}
        if stop:
            body["stop"] = stop
        return body | {"messages": wire_messages(messages)}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _overflows():
            return chat_result(self._backend.post(CHAT, self._body(messages, stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _overflows():
            answer = await self._backend.apost(CHAT, self._body(messages, stop, kwargs))
        return chat_result(answer)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        body = _streamed(self._body(messages, stop, kwargs))
        with _overflows(), closing(self._backend.stream(CHAT, body)) as chunks:
            for chunk in chunks:
                if (found := generation_chunk(chunk)) is not None:
                    if run_manager:
                        run_manager.on_llm_new_token(found.text, chunk=found)
                    yield found

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        body = _streamed(self._body(messages, stop, kwargs))
        with _overflows():
            async with aclosing(self._backend.astream(CHAT, body)) as chunks:
                async for chunk in chunks:
                    if (found := generation_chunk(chunk)) is not None:
                        if run_manager:
                            await run_manager.on_llm_new_token(found.text, chunk=found)
                        yield found

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model.

        ``tool_choice``: the name of one, ``any`` or True for one of them, ``none``, ``auto``.
        ``strict``: arguments are valid by construction.
        """
        offered = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        if tool_choice is not None and tool_choice is not False:
            names = {tool["function"]["name"] for tool in offered if "function" in tool}
            kwargs["tool_choice"] = _wire_choice(tool_choice, names)
        return self.bind(tools=offered, **kwargs)

    def with_structured_output(
        self,
        schema: Schema | None = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answer with an object of ``schema``: a pydantic class, a TypedDict or a JSON Schema.

        With ``json_schema`` the answer is valid by construction, unless it is cut off.
        """
        if method == "function_calling" and schema is not None:
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        wanted = response_format(schema, method, strict=strict)
        about = {"kwargs": {"method": method}, "schema": schema or {}}
        model = self.bind(response_format=wanted, ls_structured_output_format=about, **kwargs)
        return parsed(model, output_parser(schema), include_raw=include_raw)


def _streamed(body: dict[str, Any]) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}} | body | {"stream": True}


def _wire_choice(choice: str | bool | dict[str, Any], names: set[str]) -> str | dict[str, Any]:
    if isinstance(choice, dict):
        return choice
    if choice is True or choice == "any":
        return "required"
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    return str(choice)


@contextmanager
def _overflows() -> Iterator[None]:
    """Raise for a prompt that is too long what LangChain's agents catch."""
    try:
        yield
    except SLLMError as error:
        if error.code != "context_length_exceeded":
            raise
        raise ContextOverflow(str(error), error.status, error.code, error.param) from error
