"""Tools whose answer a model makes: ``chat`` and those about pictures."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from msgspec.structs import replace
from pydantic import Field

from app.chat.answer import stream_answer
from app.chat.completion import build_prompt, collect
from app.chat.images import decode_images
from app.chat.model_choice import choose_model
from app.chat.request import UNSET, ChatRequest, SamplingOptions
from app.chat.vision_question import SAMPLING, VisionQuestion, find_model, vision_prompt
from app.encoding.images import image_source
from app.mcp.call import Call
from app.mcp.tools.tool import Arguments, ModelName, Tool, ToolAnswer, Words
from app.provider.card import ModelCard
from app.provider.types import Delta, Event, Message, Progress, Prompt, TextPart
from app.templates.apply import apply
from app.templates.frame import frame

MOST_TOKENS = 1024
"""Of an answer, unless the caller says otherwise: hosts give up calls that take a minute."""


CUT_OFF = "[The answer was cut off: it reached max_tokens.]"

MaxTokens = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="Tokens that the answer may have.")
]


class Sampled(Arguments):
    """How an answer is drawn."""

    max_tokens: MaxTokens = MOST_TOKENS
    temperature: float = Field(
        0.7, ge=0, le=2, description="0: always the likeliest word; 2: the most surprising ones."
    )

    def sampling(self, card: ModelCard) -> SamplingOptions:
        """The same for the domain; what the call leaves out may be set by a preset."""
        given = self.model_fields_set
        bounded = card.preset is None or not card.preset.sets("max_tokens")
        return SamplingOptions(
            temperature=self.temperature if "temperature" in given else None,
            max_tokens=self.max_tokens if bounded or "max_tokens" in given else None,
        )


class ChatArguments(Sampled):
    """Of ``chat``."""

    message: Words = Field(min_length=1, description="What the model is asked.")
    system: Words = Field("", description="How the model shall behave.")
    model: ModelName = Field(
        "",
        description="An id from list_models, or model@template with a prompt template; empty: the "
        "default model.",
    )


class DescribeImageArguments(Sampled):
    """Of ``describe_image``."""

    image: Words = Field(
        min_length=1,
        description="The picture: base64, a data: URL, or an http(s) address where the server "
        "fetches such.",
    )
    question: Words = Field(
        "Describe the picture.", min_length=1, description="What is asked about it."
    )
    model: ModelName = Field("", description="The id of a model that sees; empty: the default one.")


class HyperclovaxArguments(Arguments):
    """Of ``generate_hyperclovax_vision``."""

    prompt: Words = Field(min_length=1, description="The question.")
    image_base64: str = Field(
        "", description="The picture as base64, with or without a data: prefix; empty: none."
    )
    max_tokens: MaxTokens = MOST_TOKENS


async def chat(call: Call, asked: ChatArguments) -> ToolAnswer:
    """Answer a message; nothing is stored."""
    chosen = await choose_model(call.pool, asked.model or None, call.find_template)
    request = ChatRequest(
        message=asked.message, system=asked.system or UNSET, sampling=asked.sampling(chosen.card)
    )
    prompt = build_prompt(await apply(request, chosen.template), call.owner, longest_history=0)
    return await _generated(call, chosen.card, prompt)


async def describe_image(call: Call, asked: DescribeImageArguments) -> ToolAnswer:
    """Answer a question about a picture; the model is found first, a refusal costs no decoding."""
    chosen = await choose_model(call.pool, asked.model or None, call.find_template, images=True)
    images = await decode_images(call.intake, chosen.card, [image_source(asked.image)])
    message = Message("user", (*images, TextPart(asked.question)))
    messages, sampling = await frame((message,), asked.sampling(chosen.card), chosen.template)
    prompt = Prompt(messages, sampling.to_sampling(), call.owner)
    return await _generated(call, chosen.card, prompt)


async def generate_hyperclovax_vision(call: Call, asked: HyperclovaxArguments) -> ToolAnswer:
    """Answer as the HyperCLOVA X tool server does."""
    sampling = replace(SAMPLING, max_tokens=asked.max_tokens)
    question = VisionQuestion(asked.prompt, asked.image_base64.strip(), sampling)
    card = await find_model(call.pool, images=bool(question.picture))
    prompt = await vision_prompt(question, call.intake, card, call.owner)
    return await _generated(call, card, prompt)


async def _generated(call: Call, card: ModelCard, prompt: Prompt) -> ToolAnswer:
    answer = await collect(_watched(call, stream_answer(call.pool, card, prompt)))
    if answer.end.reason != "length":
        return ToolAnswer((answer.text,))
    return ToolAnswer((answer.text, CUT_OFF))


async def _watched(call: Call, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same events; the progress says what they mean."""
    pieces = 0
    async with aclosing(events):
        async for event in events:
            match event:
                case Progress(phase=phase):
                    call.progress.message = phase
                case Delta():
                    pieces += 1
                    call.progress.message = f"answering, {pieces} pieces so far"
            yield event


TOOLS = (
    Tool(
        "generate_hyperclovax_vision",
        "HyperCLOVA X vision",
        "Answer a question, about a picture or without one, with HyperCLOVA X SEED Vision on this "
        "machine, or with the default vision model if it is not there. Good at Korean.",
        HyperclovaxArguments,
        generate_hyperclovax_vision,
    ),
    Tool(
        "chat",
        "Ask a local model",
        "Ask a small language model on the user's machine, and get its whole answer as text. It "
        "knows nothing of this conversation: put into the message all that it needs.",
        ChatArguments,
        chat,
    ),
    Tool(
        "describe_image",
        "Describe a picture",
        "Ask a local model that sees about one picture: what it shows, or what your question asks.",
        DescribeImageArguments,
        describe_image,
    ),
)
"""In the order in which they are listed."""
