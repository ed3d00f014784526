"""What ``/v1/models`` gives. The classes describe it; dicts are sent."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ModelCapabilities(BaseModel):
    """What the model can do, as far as its files tell without loading it."""

    vision: bool
    tools: bool
    thinking: bool
    structured_outputs: bool


class TemplateAdaptation(BaseModel):
    """How the model's own chat template is used."""

    source: Literal["model", "server"] = Field(
        description="`server`: the files have none, as far as is known before they are loaded."
    )
    tools: Literal["native", "described"] = Field(
        description="`described`: it has no place for tools; they are put into the system text."
    )
    output_format: str | None = Field(
        description="How it spells tool calls; null: known when it is loaded."
    )


class Encoder(BaseModel):
    """What a model makes of texts, pairs of texts or pictures."""

    dimensions: int = Field(description="Of a vector; 1: a score, 0: known when it is loaded.")
    max_tokens: int = Field(description="Of one input.")
    pooling: str = Field(description="How the vectors of tokens become one.")
    prompts: dict[str, str] = Field(description="Texts before an input, by their `input_type`.")
    default_prompt: str | None = Field(description="The one that is always used; null: none.")


class Model(BaseModel):
    """One model on this server, or a model with a prompt template (``model@template``)."""

    id: str = Field(description="Its name in requests.")
    object: Literal["model"]
    created: int = Field(description="When its files were last changed, in seconds since 1970.")
    owned_by: str
    name: str = Field(description="For people: as its maker calls it.")
    context_length: int = Field(description="Tokens of a prompt together with its answer.")
    max_model_len: int = Field(description="The same, by the name that some clients look for.")
    tasks: list[str] = Field(description="What it can do.", examples=[["chat"]])
    type: Literal["chat", "embedding", "reranker", "vision", "multimodal"] = Field(
        description="The main one of these, by the name that some clients look for."
    )
    engine: str = Field(description="What runs it.")
    size_gb: float = Field(description="Of its weights.")
    capabilities: ModelCapabilities
    chat_template: TemplateAdaptation | None = Field(description="null: it does not chat.")
    encoder: Encoder | None = Field(description="null: it makes no vectors or scores.")
    aliases: list[str] = Field(description="Other names that requests may use.")
    prompt_template: str | None = Field(description="The template of `model@template`.")


class ModelList(BaseModel):
    """All models on this server."""

    object: Literal["list"]
    data: list[Model]
