"""Which model answers, and with which prompt template: ``model@template`` names both."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.chat.completion import find_chat_model, require_chat
from app.conversations.errors import ModelCannotSee, NoVisionModel
from app.provider.card import ModelCard
from app.provider.errors import ModelNotFound
from app.provider.pool.pool import ModelPool
from app.templates.errors import TemplateNotFound
from app.templates.of_preset import FindTemplate, preset_template
from app.templates.rendering import CompiledTemplate

SEPARATOR = "@"


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model, and a template that the request ``named`` with it, or that it has as a preset."""

    card: ModelCard
    template: CompiledTemplate | None = None
    named: bool = False

    @property
    def name(self) -> str:
        """The name by which the request asked for both."""
        if self.template is None or not self.named:
            return self.card.id
        return templated_name(self.card.id, self.template.template.name)


def templated_name(model: str, template: str) -> str:
    """The name of a model with a template."""
    return f"{model}{SEPARATOR}{template}"


async def choose_model(
    pool: ModelPool, name: str | None, find_template: FindTemplate, *, images: bool = False
) -> ChosenModel:
    """The chat model of that name, or the default one: one that sees, for a request with images.

    A preset has its template with it, unless the name names another one. Raises ModelNotFound,
    ModelConflict, ModelNotLoadable, UnsupportedInput, ModelCannotSee, NoVisionModel.
    """
    if name is None:
        chosen = ChosenModel(await _default(pool, images=images))
    else:
        chosen = await find_model(pool, name, find_template)
    require_chat(chosen.card)
    if images and chosen.card.vision is None:
        raise ModelCannotSee(chosen.card.id, pool.vision_models())
    if chosen.named:
        return chosen
    return replace(chosen, template=await preset_template(chosen.card, find_template))


async def find_model(pool: ModelPool, name: str, find_template: FindTemplate) -> ChosenModel:
    """The model of that name, whatever it does; raises ModelNotFound, ModelConflict."""
    chosen = await _with_template(pool, name, find_template)
    return chosen or ChosenModel(await pool.find(name))


async def _default(pool: ModelPool, *, images: bool) -> ModelCard:
    card = await find_chat_model(pool, None)
    if not images or card.vision is not None:
        return card
    found = await pool.find_vision()
    if found is None or found.vision is None:
        raise NoVisionModel
    return found


async def _with_template(
    pool: ModelPool, name: str, find_template: FindTemplate
) -> ChosenModel | None:
    """The model and template that the name stands for; None where it stands for a model alone."""
    model, _, template = name.rpartition(SEPARATOR)
    if not (model and template):
        return None
    try:
        card = await find_chat_model(pool, model)
        return ChosenModel(card, await find_template(template), named=True)
    except (ModelNotFound, TemplateNotFound):
        return None
