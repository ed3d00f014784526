"""What a chat template is given: messages, tools and variables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.provider.errors import UnsupportedInput
from app.provider.formats.hermes_tools import hermes_tool_block
from app.provider.generation.json_values import json_object, map_strings
from app.provider.generation.message_form import map_texts
from app.provider.types import Message, Prompt, TextPart, Tool

_TAKEN = frozenset(
    [
        *("messages", "tools", "add_generation_prompt"),
        *("bos_token", "eos_token", "unk_token", "pad_token"),
    ]
)
"""Variables that a request must not set."""


@dataclass(frozen=True, slots=True)
class TemplateInput:
    """The messages of a conversation, tools as JSON objects, and further variables.

    ``key`` is equal where tools and variables have the same effect on what a template writes
    around messages.
    """

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def of(cls, prompt: Prompt) -> TemplateInput:
        """Read the JSON of a prompt; raises UnsupportedInput."""
        shown = prompt.tools if prompt.tool_choice.mode != "none" else ()
        tools = tuple(map(tool_object, shown))
        variables = _variables(prompt.template_variables)
        key = hashlib.sha256(prompt.template_variables.encode()).hexdigest() if variables else ""
        return cls(prompt.messages, tools, variables, f"{bool(tools)} {key}")

    def with_messages(self, messages: Sequence[Message]) -> TemplateInput:
        """The same with other messages."""
        return replace(self, messages=tuple(messages))

    def marked(self, messages: Sequence[Message]) -> TemplateInput:
        """The same with marked messages, and one short tool if there are any."""
        return replace(self, messages=tuple(messages), tools=_SAMPLE if self.tools else ())

    def with_sample_tool(self) -> TemplateInput:
        """The same with one short tool."""
        return replace(self, tools=_SAMPLE)

    def with_tool_block(self, prompt: Prompt) -> TemplateInput:
        """The same with the tools described in the system text."""
        messages = with_system_text(self.messages, hermes_tool_block(prompt.tools))
        return replace(self, messages=messages, tools=())

    def map_texts(self, change: Callable[[str], str]) -> TemplateInput:
        """Apply ``change`` to all texts, also those in tools and variables."""
        return replace(
            self,
            messages=tuple(map_texts(message, change) for message in self.messages),
            tools=tuple(map_strings(tool, change) for tool in self.tools),
            variables=map_strings(self.variables, change),
        )


def tool_object(tool: Tool) -> dict[str, Any]:
    """A tool in the form that chat templates are written for; raises UnsupportedInput."""
    schema = json_object(tool.parameters, f"The schema of the parameters of {tool.name!r}")
    parameters = schema if "type" in schema else {"type": "object", **schema}
    if parameters["type"] == "object":
        parameters = {**parameters, "properties": parameters.get("properties", {})}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


_SAMPLE = (tool_object(Tool("sample", "A sample.", '{"properties": {"x": {"type": "string"}}}')),)


def with_system_text(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Add a text to the first system text, or before everything where there is none."""
    if not messages or not messages[0].instructs:
        return (Message.of("system", text), *messages)
    first, *others = messages
    before = f"\n\n{text}" if first.text else text
    return (Message(first.role, (*first.parts, TextPart(before))), *others)


def with_schema(messages: Sequence[Message], schema: str) -> tuple[Message, ...]:
    """Show the model the JSON schema of its answer, unless the messages do so already."""
    value = json_object(schema, "The schema of the answer")
    if value in ({}, {"type": "object"}):
        mentioned = any("json" in message.text.lower() for message in messages)
        return tuple(messages) if mentioned else with_system_text(messages, _ANY_JSON)
    if any(
        spelled in message.text for spelled in _spellings(schema, value) for message in messages
    ):
        return tuple(messages)
    return with_system_text(messages, _BY_SCHEMA + _spelled(value))


_ANY_JSON = "Answer with a JSON object and nothing else."
_BY_SCHEMA = "Answer with JSON and nothing else. It must match this JSON schema:\n"


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _spellings(schema: str, value: Any) -> tuple[str, ...]:
    """The usual ways to write a schema into a text."""
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    indented = (json.dumps(value, ensure_ascii=False, indent=step) for step in (2, 4))
    return (schema.strip(), _spelled(value), compact, *indented)


def _variables(text: str) -> dict[str, Any]:
    variables = json_object(text, "The text of the template's variables")
    if taken := sorted(_TAKEN & variables.keys()):
        names = ", ".join(taken)
        raise UnsupportedInput(f"Variables of the chat template cannot set {names}.")
    return variables
