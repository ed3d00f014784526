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
    capabilities: ModelCapabilities
    chat_template: TemplateAdaptation | None = Field(description="null: it does not chat.")
    aliases: list[str] = Field(description="Other names that requests may use.")
    prompt_template: str | None = Field(description="The template of `model@template`.")


class ModelList(BaseModel):
    """All models on this server."""

    object: Literal["list"]
    data: list[Model]
