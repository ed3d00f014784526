"""The engine of a model where the settings have a say in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from app.provider.card import EngineOption, ModelCard
from app.provider.catalogue.engine_choice import tasks_with

_VLLM = "vllm"
_PACKED = (
    "Its weights are packed ({}), which only vLLM reads: set VLLM_COMMAND, or take the original "
    "model."
)
_NO_COMMAND = "MODEL_ENGINE chooses vLLM for it: set VLLM_COMMAND, which starts vLLM."
_UNREADABLE = "MODEL_ENGINE chooses {} for it, which cannot read its files: {} can."


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """``named`` maps the id or an alias of a model to its engine.

    ``vllm``: there is a command that starts vLLM.
    """

    named: Mapping[str, str] = field(default_factory=dict)
    vllm: bool = False


NOTHING_CHOSEN = EngineSettings()


def with_engines(cards: Iterable[ModelCard], settings: EngineSettings) -> list[ModelCard]:
    """Give models the engines that settings choose.

    A model that the chosen engine cannot serve gets a problem that says so.
    """
    return [_with_engine(card, settings) for card in cards]


def _with_engine(card: ModelCard, settings: EngineSettings) -> ModelCard:
    names = (card.id, *card.aliases)
    wanted = next((settings.named[name] for name in names if name in settings.named), "")
    if wanted:
        return card if wanted == card.engine else _as_wanted(card, wanted, settings)
    last = next((option for option in card.options if option.last_resort), None)
    if last is None or card.problem is None:
        return card
    return _served_by(card, last, None if settings.vllm else _PACKED.format(card.quantization))


def _as_wanted(card: ModelCard, wanted: str, settings: EngineSettings) -> ModelCard:
    option = next((option for option in card.options if option.engine == wanted), None)
    if option:
        has_program = wanted != _VLLM or settings.vllm
        return _served_by(card, option, None if has_program else _NO_COMMAND)
    if card.problem:
        return card  # no engine can serve it
    readers = " or ".join(option.engine for option in card.options) or card.engine
    return replace(card, problem=_UNREADABLE.format(wanted, readers))


def _served_by(card: ModelCard, option: EngineOption, problem: str | None) -> ModelCard:
    tasks = tasks_with(card.tasks, option.vision)
    return replace(
        card,
        engine=option.engine,
        tasks=tasks,
        vision=option.vision if "vision" in tasks else None,
        problem=problem or option.problem,
    )
