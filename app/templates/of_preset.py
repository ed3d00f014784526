"""The prompt template that a preset names, with the values that the preset gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from app.chat.request import ChatRequest, SamplingOptions
from app.errors import InvalidRequest
from app.provider.card import ModelCard
from app.provider.errors import ModelNotLoadable
from app.provider.preset import Preset
from app.templates.apply import apply
from app.templates.errors import TemplateNotFound
from app.templates.rendering import CompiledTemplate, fill_variables
from app.templates.template import Template

R = TypeVar("R", bound=ChatRequest)

FindTemplate = Callable[[str], Awaitable[CompiledTemplate]]
"""Finds a template of the owner by its name; raises TemplateNotFound."""


async def apply_with_preset(
    request: R, named: CompiledTemplate | None, card: ModelCard, find: FindTemplate
) -> R:
    """The request with the template that it named applied, else with that of its preset.

    Raises what ``apply`` and ``preset_template`` raise. A preset's variables are fixed: a request
    with variables has to name a template.
    """
    if named is None and not request.variables:
        named = await preset_template(card, find)
    return await apply(request, named)


async def preset_template(card: ModelCard, find: FindTemplate) -> CompiledTemplate | None:
    """The template of a preset, or None; raises ModelNotLoadable where it cannot be used."""
    preset = card.preset
    if preset is None or not preset.template:
        return None
    try:
        found = await find(preset.template)
        return replace(found, template=_filled(found.template, preset))
    except TemplateNotFound:
        problem = f"Its template {preset.template!r} is not here."
    except InvalidRequest as error:
        problem = "; ".join(one.detail for one in error.errors) + "."
    raise ModelNotLoadable(f"{card.id}: {problem}")


def _filled(template: Template, preset: Preset) -> Template:
    """The template with the preset's values as defaults; the preset's sampling options win."""
    values = fill_variables(template, dict(preset.variables))
    variables = {
        name: replace(variable, required=False, default=values[name])
        for name, variable in template.variables.items()
    }
    sampling = SamplingOptions(**dict(preset.sampling)).with_defaults(template.sampling)
    return replace(template, variables=variables, sampling=sampling)
