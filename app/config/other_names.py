"""Settings under the names that other projects give them, so that their users keep their files.

Ours wins wherever it is given. A name of a setting that is only spelled otherwise is listed here;
settings that we have under the other project's own name are fields of ``Settings``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
)

from app.config.errors import InvalidSetting

Given = Mapping[str, str | None]
"""Names in small letters and their values, of the environment and of ``.env``."""


def _as_it_is(value: str) -> str:
    return value


def _log_level(value: str) -> str:
    """Python's names of levels, in small letters too."""
    return {"WARN": "WARNING", "CRITICAL": "ERROR"}.get(value.upper(), value.upper())


_DEVICE = re.compile(r"(?:cuda|gpu)(?::(\d+))?|mps|auto|(cpu)", re.IGNORECASE)


def _uses_gpu(value: str) -> str:
    if found := _DEVICE.fullmatch(value):
        return "false" if found[2] else "true"
    raise ValueError("is not cpu, cuda, cuda:N, mps or auto")


def _gpu_number(value: str) -> str | None:
    found = _DEVICE.fullmatch(value)
    return found[1] if found else None


_TYPES = {
    "auto": "auto",
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "float": "float32",
    "float16": "float16",
    "float32": "float32",
    "fp16": "float16",
    "fp32": "float32",
    "half": "float16",
}


def _type(value: str) -> str:
    """The name of a type in PyTorch's spelling."""
    try:
        return _TYPES[value.lower().removeprefix("torch.")]
    except KeyError:
        raise ValueError("is not auto, float32, bfloat16 or float16") from None


def _folder_here(value: str) -> str | None:
    """A folder of the host, which there is none of inside a container."""
    return value if Path(value).is_dir() else None


@dataclass(frozen=True, slots=True)
class OtherName:
    """A name that another project gives to a setting of ours.

    ``convert`` makes our spelling of a value, or None where the value says nothing of this
    setting; it raises ValueError.
    """

    name: str
    setting: str
    convert: Callable[[str], str | None] = _as_it_is


OTHER_NAMES = (
    OtherName("LLM_HOST", "host"),
    OtherName("LLM_PORT", "port"),
    OtherName("LLM_LOG_LEVEL", "log_level", _log_level),
    OtherName("LLM_MODELS_DIR", "models_dir"),
    OtherName("LOCAL_MODELS_DIR", "models_dir"),
    OtherName("LLM_CUDA_VISIBLE_DEVICES", "cuda_visible_devices"),
    OtherName("MODEL_DEVICE", "use_gpu", _uses_gpu),
    OtherName("MODEL_DEVICE", "cuda_visible_devices", _gpu_number),
    OtherName("MODEL_DTYPE", "torch_dtype", _type),
    OtherName("HOST_MODEL_DIR", "sllm_model_path", _folder_here),
    OtherName("HOST_MODEL_DIR", "vision_model_path", _folder_here),
    OtherName("MODEL_PATH", "sllm_model_path"),
    OtherName("MODEL_PATH", "vision_model_path"),
    OtherName("DEVICE", "use_gpu", _uses_gpu),
    OtherName("DEVICE", "cuda_visible_devices", _gpu_number),
    OtherName("HUGGINGFACE_TOKEN", "hf_token"),
)
"""Where two of them name one setting, the first that is given wins."""


def find_other(given: Given, setting: str) -> OtherName | None:
    """The name of another project that gives this setting its value, unless ours is given."""
    if given.get(setting):
        return None
    named = (other for other in OTHER_NAMES if other.setting == setting)
    return next((other for other in named if _value(given, other) is not None), None)


def _value(given: Given, other: OtherName) -> str | None:
    """What the other name says of the setting, in our spelling; raises InvalidSetting."""
    if not (value := given.get(other.name.lower())):
        return None
    try:
        return other.convert(value)
    except ValueError as error:
        raise InvalidSetting(
            f"{other.name}={value} {error}; or set {other.setting.upper()}, which is read instead."
        ) from error


class OtherNamesSource(PydanticBaseSettingsSource):
    """What other projects' names say of settings that have no value under ours."""

    def __init__(self, settings: type[BaseSettings], *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._given = _merged(sources)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one setting, its name, and that it is no JSON."""
        other = find_other(self._given, field_name)
        return _value(self._given, other) if other else None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values; raises InvalidSetting."""
        settings = dict.fromkeys(other.setting for other in OTHER_NAMES)
        fields = self.settings_cls.model_fields
        values = {name: self.get_field_value(fields[name], name)[0] for name in settings}
        return {name: value for name, value in values.items() if value is not None}


def given_values(settings: type[BaseSettings]) -> Given:
    """What the environment and ``.env`` hold; the environment wins."""
    return _merged((EnvSettingsSource(settings), DotEnvSettingsSource(settings)))


def _merged(sources: tuple[PydanticBaseSettingsSource, ...]) -> Given:
    """The values of sources, of which the first one wins."""
    given: dict[str, str | None] = {}
    for source in reversed(sources):
        if isinstance(source, EnvSettingsSource):
            given |= source.env_vars
    return given


def differences(settings: type[BaseSettings], given: Given) -> Iterator[str]:
    """A sentence for each other name that says something else than the name that wins."""
    for other in OTHER_NAMES:
        winner = _winner(given, other)
        if winner and not _agree(settings.model_fields[other.setting], given, winner, other):
            shown = settings.model_fields[other.setting].repr
            yield (
                f"{_shown(given, winner.name, shown)} is used, not "
                f"{_shown(given, other.name, shown)}, which names the same setting."
            )


def _winner(given: Given, other: OtherName) -> OtherName | None:
    """The name that is used instead of ``other``; None if ``other`` is not given, or used."""
    if not given.get(other.name.lower()):
        return None
    if given.get(other.setting):
        return OtherName(other.setting.upper(), other.setting)
    used = find_other(given, other.setting)
    return used if used and used.name != other.name else None


def _agree(field: FieldInfo, given: Given, winner: OtherName, other: OtherName) -> bool:
    """Whether both names give the setting the same value, or ``other`` says nothing of it."""
    try:
        theirs, used = _value(given, other), _value(given, winner)
        value_of = TypeAdapter[Any](field.rebuild_annotation()).validate_python
        return theirs is None or value_of(theirs) == value_of(used)
    except (InvalidSetting, ValidationError):
        return False


def _shown(given: Given, name: str, shown: bool) -> str:
    return f"{name}={given[name.lower()]}" if shown else name
