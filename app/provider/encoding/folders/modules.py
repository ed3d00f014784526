"""Reads ``modules.json`` of sentence-transformers and the settings of the modules it lists.

The types are recognised by their last name, because the paths of the classes have moved between
releases of that library.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.provider.encoding.folders.settings import (
    Activation,
    DenseSettings,
    PoolingMode,
    PoolingRule,
)
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import number, text, texts
from app.provider.headers.files import fault, read_json, read_json_list, why_missing

MODULES = "modules.json"
_MOST_MODULES = 16
_LONGEST = 2**16
"""Bytes; that file is read for the folders below it as well, so it must not take long."""
_OURS = "sentence_transformers."
_TRANSFORMERS = ("Transformer", "CLIPModel")
_WEIGHTS = "model.safetensors"

POOLING_MODES: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Keys of 1_Pooling/config.json → modes, in the order in which their vectors are joined."""

_MODES = {mode: mode for mode in POOLING_MODES.values()}
_ACTIVATIONS: dict[str, Activation] = {
    "Identity": "identity",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
}


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules of a folder: one model, and what follows it.

    ``yes`` and ``no`` are the tokens of a score that is read from a language model's logits.
    ``foreign_code``: the model is run by a class of its repository.
    """

    folder: Path
    pooling: PoolingRule | None = None
    hidden: int = 0
    dense: tuple[DenseSettings, ...] = ()
    normalize: bool = False
    yes: int | None = None
    no: int | None = None
    foreign_code: bool = False


def read_modules(root: Path, known: PoolingRule | None = None) -> Modules | None:
    """The modules of a folder; None where it lists none. Raises ModelNotLoadable.

    ``known`` is the pooling of the model's family, for a copy without the folder that states it.
    """
    if not os.path.lexists(root / MODULES):
        return None
    try:
        entries = listed_modules(root)
    except (OSError, ValueError) as error:
        raise _incomplete(root / MODULES) from error
    kinds = [(_kind(entry), entry) for entry in entries[:_MOST_MODULES] if isinstance(entry, dict)]
    _check_order([kind for kind, _ in kinds])
    return _joined(root, kinds, known)


def listed_modules(root: Path) -> list[Any]:
    """The entries of ``modules.json``; raises OSError and ValueError."""
    return read_json_list(root / MODULES, _LONGEST)


def transformer_folder(root: Path) -> Path:
    """The folder with the model itself; ``root`` where it lists no modules.

    Raises ModelNotLoadable for a folder outside of ``root``.
    """
    try:
        entries = listed_modules(root)
    except (OSError, ValueError):
        return root
    first = entries[0] if entries and isinstance(entries[0], dict) else {}
    return inside(root, text(first, "path"))


def _kind(entry: dict[str, Any]) -> str:
    """The last name of a module's class, which tells what it does."""
    return text(entry, "type").rpartition(".")[2]


def _check_order(kinds: list[str]) -> None:
    """Refuse modules that are not computed here, and another order than the usual one."""
    order = (*_TRANSFORMERS, "Pooling", "LogitScore", "Dense", "Normalize")
    known = [kind for kind in kinds if kind != "Dropout"]
    for kind in known:
        if kind not in order:
            raise ModelNotLoadable(
                f"Its module {kind or '(without a type)'} of sentence-transformers is not computed "
                "here: take a model of Transformer, Pooling, Dense and Normalize."
            )
    if known != sorted(known, key=order.index) or not known or known[0] not in _TRANSFORMERS:
        raise ModelNotLoadable(f"modules.json lists its modules in an order that is not computed "
                               f"here: {', '.join(known) or 'none'}.")  # fmt: skip


def _joined(
    root: Path, kinds: list[tuple[str, dict[str, Any]]], known: PoolingRule | None
) -> Modules:
    paths = [(kind, inside(root, text(entry, "path"))) for kind, entry in kinds]
    pooling = next((_pooling(path, known) for kind, path in paths if kind == "Pooling"), (None, 0))
    score = next((_settings(path) for kind, path in paths if kind == "LogitScore"), {})
    return Modules(
        folder=paths[0][1],
        pooling=pooling[0],
        hidden=pooling[1],
        dense=tuple(_dense(path) for kind, path in paths if kind == "Dense"),
        normalize=any(kind == "Normalize" for kind, _ in kinds),
        yes=_token(score, "true_token_id"),
        no=_token(score, "false_token_id"),
        foreign_code=not text(kinds[0][1], "type").startswith(_OURS),
    )


def _token(score: dict[str, Any], key: str) -> int | None:
    value = score.get(key)
    return value if type(value) is int and 0 <= value < 2**31 else None


def inside(root: Path, name: str) -> Path:
    """A folder below ``root`` by its relative name; raises ModelNotLoadable for any other."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts:
        raise ModelNotLoadable(f"modules.json names a folder outside of the model: {name!r}.")
    return root.joinpath(*parts)


def _settings(folder: Path) -> dict[str, Any]:
    """``config.json`` of a module; raises ModelNotLoadable."""
    path = folder / "config.json"
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise _incomplete(path) from error


def _incomplete(path: Path) -> ModelNotLoadable:
    name = path.name if path.name == MODULES else f"{path.parent.name}/{path.name}"
    reason = fault(path) if path.exists() else why_missing(path)
    remedy = "" if ":" in reason else " Download or copy it again."
    return ModelNotLoadable(f"The folder is incomplete: {name} {reason}.{remedy}")


def _pooling(folder: Path, known: PoolingRule | None) -> tuple[PoolingRule, int]:
    """The rule, and the length of a token's vector as far as it is stated."""
    if known and not os.path.lexists(folder / "config.json"):
        return known, 0
    settings = _settings(folder)
    modes = tuple(_named_modes(settings))
    unknown = [mode for mode in modes if mode not in _MODES]
    if unknown or not modes:
        raise ModelNotLoadable(
            f"{folder.name}/config.json names no pooling that is known here: "
            f"{', '.join(unknown) or 'it is empty'}."
        )
    rule = PoolingRule(
        tuple(_MODES[mode] for mode in modes), settings.get("include_prompt") is not False
    )
    return rule, number(settings, "embedding_dimension", "word_embedding_dimension")


def _named_modes(settings: dict[str, Any]) -> list[Any]:
    """The modes, as one name, as a list of names, or as older releases write them."""
    if "pooling_mode" in settings:
        one = text(settings, "pooling_mode")
        return [one] if one else list(texts(settings, "pooling_mode"))
    older = [mode for key, mode in POOLING_MODES.items() if settings.get(key) is True]
    stated = any(key in settings for key in POOLING_MODES)
    return older or (["mean"] if stated else [])


def _dense(folder: Path) -> DenseSettings:
    settings = _settings(folder)
    named = settings.get("activation_function", "Tanh")
    activation = _ACTIVATIONS.get(str(named).rpartition(".")[2])
    inputs, outputs = number(settings, "in_features"), number(settings, "out_features")
    of_tokens = settings.get("module_input_name", "sentence_embedding") != "sentence_embedding"
    if activation is None or of_tokens or not (inputs and outputs):
        raise ModelNotLoadable(
            f"{folder.name}/config.json describes a layer that is not computed here: "
            f"{'one of tokens' if of_tokens else str(named)[:100]}."
        )
    return DenseSettings(
        _dense_weights(folder),
        inputs,
        outputs,
        bias=settings.get("bias") is not False,
        activation=activation,
        residual=settings.get("use_residual") is True,
    )


def _dense_weights(folder: Path) -> Path:
    """The layer's weights; raises ModelNotLoadable where they are missing or pickled."""
    weights = folder / _WEIGHTS
    if not weights.is_file():
        pickled = (folder / "pytorch_model.bin").is_file()
        reason = f"{folder.name}/{_WEIGHTS} {why_missing(weights)}"
        raise ModelNotLoadable(
            f"The weights in {folder.name} are pickled, which may hide programs: save the model "
            "again with sentence-transformers 3 or newer."
            if pickled
            else f"The folder is incomplete: {reason}. Download or copy it again."
        )
    return weights
