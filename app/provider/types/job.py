"""What is submitted to an engine."""

from __future__ import annotations

from typing import Literal

from app.provider.types.message import ImagePart, Message, TextPart
from app.provider.types.value import Value


class Sampling(Value, frozen=True):
    """How the next token is drawn. Penalties look at the answer so far, never at the prompt.

    ``temperature`` 0 always takes the likeliest token. ``top_k`` 0, ``top_p`` 1 and ``min_p`` 0
    switch that filter off; so do ``repeat_penalty`` 1 and the other penalties at 0. Without a
    ``seed`` every call draws anew. ``max_tokens`` is exact; None means the engine's own limit.
    ``stop`` strings end the answer and are not part of it. ``logit_bias`` is added to the logits
    of tokens, by their ids, before anything else. ``explicit`` names options that the request set
    to just these defaults, which a preset therefore leaves alone; engines never look at it.
    """

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()
    explicit: tuple[str, ...] = ()


class Tool(Value, frozen=True):
    """A tool that the model may call; ``parameters`` is a JSON Schema of its arguments.

    The arguments of a ``strict`` tool always match the schema, those of others as far as the
    schema can be enforced.
    """

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False


class ToolChoice(Value, frozen=True):
    """Whether the model may, must or must not call tools.

    ``required`` with a ``name`` must call that tool. ``parallel``: more than one call in an answer
    is allowed.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    name: str = ""
    parallel: bool = True


class Constraint(Value, frozen=True):
    """What the answer must match: a JSON Schema, a regular expression or a Lark grammar.

    Thinking before the answer is free.
    """

    kind: Literal["json_schema", "regex", "lark"]
    source: str


class RawText(Value, frozen=True):
    """A text that the model continues, without a chat template, in place of messages.

    ``tokens`` are the model's own, in place of the text. With a ``suffix`` the answer is what
    belongs between the two.
    """

    text: str = ""
    tokens: tuple[int, ...] | None = None
    suffix: str | None = None


class Prompt(Value, frozen=True):
    """The job of generating an answer.

    ``owner`` keys the prefix cache: what one owner computed is never reused for another.
    ``answer_room`` tokens must be left for the answer, or a quarter of the context if that is
    less; 0 asks for one token. ``logprobs`` asks for the tokens of the answer with their
    log-probabilities and those of so many alternatives. ``thinking`` asks for the thinking as
    well, which is dropped otherwise; ``thinking_budget`` is how many tokens it may take, then it
    is closed and the answer begins. ``keep_special`` lets control tokens through as text, for a
    parser of the answer. ``template_variables`` is a JSON object of further variables for the
    model's chat template, such as ``enable_thinking``. ``raw`` takes the place of the messages.
    ``output_format`` names a format of ``provider.formats`` in place of the one that the engine
    recognises. ``affinity`` is equal for prompts that continue each other, so that they may go to
    the machine that has computed the last one; engines never look at it. ``context_length`` tokens
    of the model's context hold the prompt and its answer; 0: all of them. ``ttl_seconds`` after the
    answer an idle model is unloaded, unless another request follows (inf: never); None: as the
    settings say. Engines never look at that either.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    owner: str = ""
    answer_room: int = 0
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    constraint: Constraint | None = None
    logprobs: int | None = None
    thinking: bool = False
    thinking_budget: int | None = None
    keep_special: bool = False
    template_variables: str = ""
    raw: RawText | None = None
    output_format: str = ""
    affinity: str = ""
    context_length: int = 0
    ttl_seconds: float | None = None

    def context_of(self, length: int) -> int:
        """How many tokens of a context of that length the prompt and its answer may take."""
        return min(self.context_length or length, length)


Generate = Prompt


class TokensPart(Value, frozen=True):
    """A text to encode, as tokens of the model."""

    tokens: tuple[int, ...]


class PairPart(Value, frozen=True):
    """A question and a document that a reranker scores together."""

    query: str
    document: str


class Encode(Value, frozen=True):
    """The job of turning each item into a vector, or into a score (a vector of one number).

    ``prompt`` is put before each text, as it is; a reranker that takes an instruction gets it as
    that. ``dimensions`` cuts vectors before they get the length 1; None leaves them whole.
    ``truncate`` cuts what is longer than the model takes, which is refused otherwise.
    ``raw_scores`` leaves scores as the model gives them, in place of numbers from 0 to 1.
    """

    items: tuple[TextPart | TokensPart | PairPart | ImagePart, ...]
    prompt: str = ""
    normalize: bool = True
    dimensions: int | None = None
    truncate: bool = False
    raw_scores: bool = False
    owner: str = ""


Job = Generate | Encode
"""What is submitted to an engine."""
