"""Prompts as bodies of ``/v1/chat/completions`` and ``/v1/completions``.

What a server's features lack is refused by its name. An option with the default of this server was
not asked for by anybody, and is left out where the other server has no such option.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from app.provider.engines.upstream.features import Features
from app.provider.engines.upstream.json_fields import Fields
from app.provider.engines.upstream.wire_messages import MessageWriter
from app.provider.errors import UnsupportedConstraint, UnsupportedInput
from app.provider.remote import RemoteModel
from app.provider.types import Constraint, Prompt, RawText, Sampling, Tool

EFFORT = frozenset({"enable_thinking", "thinking", "reasoning_effort"})
"""The variables that stand for an effort of thinking."""

_DEFAULT = Sampling()
_SALT_BYTES = 24


@dataclass(frozen=True, slots=True)
class BodyWriter:
    """Writes the bodies of one model. ``max_tokens`` bounds answers that name no limit."""

    remote: RemoteModel
    model: str
    features: Features
    max_tokens: int

    def chat(self, prompt: Prompt) -> Fields:
        """The body of a chat without ``stream``; raises UnsupportedInput."""
        return {
            "model": self.model,
            "messages": MessageWriter(self.remote.server, self.features).write(prompt.messages),
            **self._sampling(prompt.sampling),
            **self._tools(prompt),
            **self._constraint(prompt.constraint),
            **self._thinking(prompt),
            **self._logprobs(prompt),
            **self._salt(prompt.owner),
        }

    def completion(self, prompt: Prompt, raw: RawText) -> Fields:
        """The body of a text to continue; raises UnsupportedInput."""
        self._require(self.features.raw, "continues no texts: it only chats")
        if raw.tokens is not None:
            self._require(self.features.raw_tokens, "takes texts, not tokens")
        fields: Fields = {
            "model": self.model,
            "prompt": raw.text if raw.tokens is None else list(raw.tokens),
            **self._sampling(prompt.sampling),
            **self._constraint(prompt.constraint),
            **self._salt(prompt.owner),
        }
        if raw.suffix is not None:
            self._require(self.features.suffix, "fills no gaps: it takes no suffix")
            fields["suffix"] = raw.suffix
        if prompt.logprobs is not None:
            self._require(self.features.logprobs, "gives no log-probabilities")
            fields["logprobs"] = prompt.logprobs
        return fields

    def streamed(self, fields: Fields) -> Fields:
        """The same body, for an answer as a stream."""
        options: Fields = {"include_usage": True} if self.features.stream_usage else {}
        if self.features.continuous_usage:
            options["continuous_usage_stats"] = True
        more: Fields = {"stream_options": options} if options else {}
        if self.features.prompt_progress:
            more["return_progress"] = True
        return {**fields, "stream": True, **more}

    # ---------------------------------------------------------------- parts of a body

    def _sampling(self, sampling: Sampling) -> Fields:
        fields: Fields = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens or self.max_tokens,
            **self._further_sampling(sampling),
        }
        if sampling.presence_penalty:
            fields["presence_penalty"] = sampling.presence_penalty
        if sampling.frequency_penalty:
            fields["frequency_penalty"] = sampling.frequency_penalty
        if sampling.seed is not None:
            fields["seed"] = sampling.seed
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if sampling.logit_bias:
            self._require(self.features.logit_bias, "does not know logit_bias", constraint=True)
            fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias}
        return fields

    def _further_sampling(self, sampling: Sampling) -> Fields:
        """Options that OpenAI's API does not have."""
        fields: Fields = {}
        known = {"top_k": self.features.top_k, "min_p": self.features.min_p}
        for name, taken in known.items():
            value = getattr(sampling, name)
            if taken:
                fields[name] = value
            elif value not in {0, getattr(_DEFAULT, name)}:
                self._require(taken, f"does not know {name}")
        if sampling.repeat_penalty != 1:
            self._require(bool(self.features.repeat_penalty), "does not know repeat_penalty")
            fields[self.features.repeat_penalty] = sampling.repeat_penalty
        return fields

    def _tools(self, prompt: Prompt) -> Fields:
        choice = prompt.tool_choice
        if not prompt.tools or choice.mode == "none":
            return {}
        self._require(self.features.tools, "takes no tools")
        tools = prompt.tools
        fields: Fields = {}
        if choice.mode == "required":
            self._require(
                self.features.required_tool, "cannot be made to call a tool", constraint=True
            )
            fields["tool_choice"] = "required"
            if choice.name and self.features.named_tool:
                function = {"name": choice.name}
                fields["tool_choice"] = {"type": "function", "function": function}
            elif choice.name:
                tools = tuple(tool for tool in tools if tool.name == choice.name)
        if not choice.parallel:
            self._require(self.features.parallel_tools, "does not know parallel_tool_calls")
            fields["parallel_tool_calls"] = False
        return {"tools": [_tool(tool) for tool in tools], **fields}

    def _constraint(self, constraint: Constraint | None) -> Fields:
        if constraint is None:
            return {}
        if constraint.kind == "json_schema":
            self._require(self.features.json_schema, "keeps to no JSON Schema", constraint=True)
            schema = {"name": "answer", "strict": True, "schema": json.loads(constraint.source)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        where = self.features.regex if constraint.kind == "regex" else self.features.lark
        what = "regular expression" if constraint.kind == "regex" else "grammar in Lark's language"
        self._require(bool(where), f"keeps to no {what}", constraint=True)
        field, _, key = where.partition(".")
        return {field: {key: constraint.source} if key else constraint.source}

    def _thinking(self, prompt: Prompt) -> Fields:
        """How long it may think; an effort is variables of the template, and a budget."""
        variables: Fields = json.loads(prompt.template_variables or "{}")
        effort = variables.get("reasoning_effort")
        fields = self._variables(variables)
        if prompt.thinking_budget is not None:
            field = self.features.thinking_budget
            if field and (self.features.effort_and_budget or not effort):
                fields[field] = prompt.thinking_budget
            self._require(bool(field or effort), "cannot bound how long a model thinks")
        return fields

    def _variables(self, variables: Fields) -> Fields:
        if not variables:
            return {}
        if self.features.template_variables:
            return {"chat_template_kwargs": variables}
        effort = self.features.reasoning_effort and variables.keys() == EFFORT
        self._require(effort, "takes no variables of a chat template, such as enable_thinking")
        thinks = variables["enable_thinking"]
        return {"reasoning_effort": variables["reasoning_effort"] if thinks else "none"}

    def _logprobs(self, prompt: Prompt) -> Fields:
        if prompt.logprobs is None:
            return {}
        self._require(self.features.logprobs, "gives no log-probabilities")
        return {"logprobs": True, "top_logprobs": prompt.logprobs}

    def _salt(self, owner: str) -> Fields:
        return {"cache_salt": self.cache_salt(owner)} if self.features.cache_salt else {}

    def cache_salt(self, owner: str) -> str:
        """What stands for an owner: the server cannot tell from it who that is."""
        key = hashlib.blake2b((self.remote.key or self.remote.base_url).encode()).digest()
        return hashlib.blake2b(owner.encode(), digest_size=_SALT_BYTES, key=key).hexdigest()

    def _require(self, known: bool, what: str, *, constraint: bool = False) -> None:
        """Raise UnsupportedInput for what the server lacks."""
        if not known:
            kind = UnsupportedConstraint if constraint else UnsupportedInput
            raise kind(f"The server {self.remote.server} {what}.")


def _tool(tool: Tool) -> dict[str, Any]:
    function: Fields = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}
