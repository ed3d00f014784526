"""What servers of each kind take and give beside OpenAI's plain API."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from app.provider.remote import ServerKind


@dataclass(frozen=True, slots=True)
class Features:
    """What one server takes and gives. A field that is a text names the server's own spelling.

    ``stream_tools``: calls of tools come in a stream; otherwise such answers are asked for whole.
    ``named_tool``: ``tool_choice`` may be an object; otherwise the one tool is sent alone, as
    required. ``effort_and_budget``: a budget of thinking may come beside an effort; otherwise the
    effort alone is sent. ``reasoning_effort`` is the field for it, where there are no variables of
    a template. ``regex``, ``lark``: where such a constraint goes, as ``field`` or ``field.key``.
    ``repeat_penalty``, ``thinking_budget``, ``thinking`` (of earlier answers): names of fields.
    ``continuous_usage``: the first piece has the tokens of the prompt. ``cached_when_absent``: a
    usage without ``cached_tokens`` means none were, and not that nobody counted. ``truncate``: the
    field that has long inputs cut. ``raw_scores``: a reranker gives logits. ``tokenizer``: the
    routes that tokenise, of a kind. ``cache_salt``: prefixes are only shared by requests with the
    same one.
    """

    streaming: bool = True
    images: bool = True
    tool_images: bool = False
    tools: bool = True
    stream_tools: bool = True
    required_tool: bool = True
    named_tool: bool = True
    parallel_tools: bool = True
    json_schema: bool = True
    regex: str = ""
    lark: str = ""
    logprobs: bool = False
    logit_bias: bool = False
    top_k: bool = False
    min_p: bool = False
    repeat_penalty: str = ""
    template_variables: bool = False
    thinking: str = ""
    thinking_budget: str = ""
    effort_and_budget: bool = True
    reasoning_effort: bool = False
    raw: bool = True
    raw_tokens: bool = False
    suffix: bool = False
    embeddings: bool = True
    rerank: bool = False
    image_embeddings: bool = False
    raw_scores: bool = False
    truncate: str = ""
    tokenizer: str = ""
    stream_usage: bool = True
    continuous_usage: bool = False
    prompt_progress: bool = False
    cached_when_absent: bool = False
    cache_salt: bool = False

    def overridden(self, values: tuple[tuple[str, bool | str], ...]) -> Features:
        """These with other values; raises ValueError for what is no feature."""
        known = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        for name, value in values:
            if name not in known:
                raise ValueError(f"there is no feature {name!r}")
            if not isinstance(value, known[name]):
                wanted = "true or false" if known[name] is bool else "a text"
                raise ValueError(f"the feature {name} is {wanted}")
        changed: dict[str, Any] = dict(values)
        return replace(self, **changed)


_SAMPLING = Features(logprobs=True, logit_bias=True, top_k=True, min_p=True)

FEATURES: dict[ServerKind, Features] = {
    "generic": Features(reasoning_effort=True),
    "sllm": replace(
        _SAMPLING,
        tool_images=True,
        regex="structured_outputs.regex",
        lark="structured_outputs.grammar",
        repeat_penalty="repeat_penalty",
        template_variables=True,
        thinking="reasoning_content",
        thinking_budget="thinking_token_budget",
        raw_tokens=True,
        suffix=True,
        rerank=True,
        image_embeddings=True,
        truncate="truncate",
        tokenizer="sllm",
        continuous_usage=True,
        cache_salt=True,
    ),
    "vllm": replace(
        _SAMPLING,
        regex="structured_outputs.regex",
        lark="structured_outputs.grammar",
        repeat_penalty="repetition_penalty",
        template_variables=True,
        thinking="reasoning",
        thinking_budget="thinking_token_budget",
        effort_and_budget=False,  # it refuses budgets unless it was started for them
        raw_tokens=True,
        rerank=True,
        truncate="truncate_prompt_tokens",
        tokenizer="vllm",
        continuous_usage=True,
        cache_salt=True,
    ),
    "sglang": replace(
        _SAMPLING,
        regex="regex",
        repeat_penalty="repetition_penalty",
        template_variables=True,
        thinking="reasoning_content",
        raw_tokens=True,
        rerank=True,
        cache_salt=True,
    ),
    "llama.cpp": replace(
        _SAMPLING,
        named_tool=False,
        repeat_penalty="repeat_penalty",
        template_variables=True,
        thinking="reasoning_content",
        thinking_budget="reasoning_budget_tokens",
        raw_tokens=True,
        rerank=True,
        raw_scores=True,
        tokenizer="llama.cpp",
        prompt_progress=True,
    ),
    "lm-studio": Features(
        named_tool=False,
        logit_bias=True,
        top_k=True,
        repeat_penalty="repeat_penalty",
        thinking="reasoning_content",
    ),
    "ollama": Features(
        stream_tools=False,
        required_tool=False,
        named_tool=False,
        parallel_tools=False,
        reasoning_effort=True,
        thinking="reasoning",
        suffix=True,
    ),
}
"""By kind; ``auto`` becomes one of the others when the model is loaded."""
