"""Reads the folder of an encoder, as Hugging Face, sentence-transformers and Optimum write it.

The one reading rule for engines and model cards. It opens only JSON files, through readers that
are bounded, and refuses what would be computed wrongly.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from app.provider.encoding.folders.image_settings import ImageSettings, read_image_settings
from app.provider.encoding.folders.known_encoders import KnownEncoder, known_encoder
from app.provider.encoding.folders.modules import Modules, read_modules, transformer_folder
from app.provider.encoding.folders.prompts import folder_prompts
from app.provider.encoding.folders.recognise import encoder_kind, model_names
from app.provider.encoding.folders.reranker import read_reranker
from app.provider.encoding.folders.settings import (
    EncoderSettings,
    MatchSettings,
    PoolingRule,
    TextSettings,
)
from app.provider.encoding.folders.text_settings import (
    clip_text_settings,
    siglip_text_settings,
    text_settings,
)
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import number, section, text, texts
from app.provider.headers.files import fault, optional_json, read_json, why_missing

CONFIG = "config.json"
_WIDTHS = ("hidden_size", "n_embd", "dim", "d_model")
_NO_POOLING = (
    "Its files do not say how the vectors of its tokens become one: add modules.json and "
    "1_Pooling/config.json from the model's page, without which its vectors would be wrong."
)
_NO_DENSE = (
    "Its files lack modules.json and the layers that follow the pooling, without which its "
    "vectors would be wrong: download the whole folder from the model's page."
)


def holds_encoder(path: Path) -> bool:
    """Whether a folder holds a model that makes vectors or scores. Raises TooExpensive."""
    try:
        folder = transformer_folder(path)
    except ModelNotLoadable:
        return True  # and reading it says what is wrong
    return encoder_kind(path, optional_json(folder / CONFIG)) is not None


def read_encoder_settings(path: Path) -> EncoderSettings:
    """Read a folder; raises ModelNotLoadable with the reason, and TooExpensive."""
    modules = read_modules(path, _known_pooling(path))
    folder = modules.folder if modules else path
    config = _config(folder)
    kind = encoder_kind(path, config)
    if kind is None:
        raise ModelNotLoadable("The model makes no vectors of texts or images.")
    settings = EncoderSettings(
        root=path,
        folder=folder,
        kind=kind,
        model_type=text(config, "model_type"),
        architecture=next(iter(texts(config, "architectures")), ""),
        dimensions=_width(config),
        foreign_code=_foreign(config, modules),
    )
    if kind == "rerank":
        return read_reranker(settings, config, modules)
    if kind == "embedding":
        return _embedder(settings, config, modules)
    return _of_images(settings, config)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = read_json(path)
    except OSError as error:
        raise ModelNotLoadable(
            f"The folder is incomplete: {CONFIG} {why_missing(path)}."
        ) from error
    except ValueError as error:
        raise ModelNotLoadable(f"The folder is incomplete: {CONFIG} {fault(path)}.") from error
    if not text(config, "model_type"):
        raise ModelNotLoadable(f"{CONFIG} does not say what the model is (model_type).")
    return config


def _foreign(config: dict[str, Any], modules: Modules | None) -> bool:
    """Whether the model's own code is needed; transformers has nomic-embed-text itself."""
    own_class = bool(section(config, "auto_map")) and not _is_nomic(config)
    return own_class or bool(modules and modules.foreign_code)


def _width(config: dict[str, Any]) -> int:
    return number(section(config, "text_config") or config, *_WIDTHS) or number(config, *_WIDTHS)


def _embedder(
    settings: EncoderSettings, config: dict[str, Any], modules: Modules | None
) -> EncoderSettings:
    """A model of texts, with the pooling and the layers that its folder lists."""
    known = known_encoder(*model_names(settings.root, config))
    pooling = _pooling(modules, known)
    prompts, default = folder_prompts(settings.root, known)
    dense = modules.dense if modules else ()
    width = settings.dimensions or (modules.hidden if modules else 0)
    return replace(
        settings,
        dimensions=dense[-1].outputs if dense else width * len(pooling.modes),
        text=_texts(settings, config, known),
        pooling=pooling,
        dense=dense,
        normalize=modules.normalize if modules else True,
        layer_norm_before_cut=_is_nomic(config),
        prompts=prompts,
        default_prompt=default,
    )


def _texts(
    settings: EncoderSettings, config: dict[str, Any], known: KnownEncoder | None
) -> TextSettings:
    texts = text_settings(settings.folder, config)
    return replace(texts, ending=known.ending or texts.ending) if known else texts


def _pooling(modules: Modules | None, known: KnownEncoder | None) -> PoolingRule:
    if modules and modules.pooling:
        return modules.pooling
    if modules or known is None:
        raise ModelNotLoadable(_NO_POOLING)
    if known.has_dense:
        raise ModelNotLoadable(_NO_DENSE)
    return PoolingRule((known.pooling,))


def _known_pooling(path: Path) -> PoolingRule | None:
    known = known_encoder(*model_names(path, optional_json(path / CONFIG)))
    return PoolingRule((known.pooling,)) if known and not known.has_dense else None


def _is_nomic(config: dict[str, Any]) -> bool:
    """Whether it is nomic-embed-text, except for the mixture of experts."""
    experts = number(config, "num_experts") > 1 or number(config, "moe_every_n_layers")
    return text(config, "model_type") == "nomic_bert" and not experts


def _of_images(settings: EncoderSettings, config: dict[str, Any]) -> EncoderSettings:
    """A model of images, or of images and texts."""
    with_image = replace(settings, image=_image(settings.folder), normalize=True)
    if settings.kind == "vision":
        return replace(with_image, dimensions=_width(config) or 768)
    if settings.model_type == "clip":
        return replace(
            with_image,
            dimensions=number(config, "projection_dim") or 512,
            text=clip_text_settings(settings.folder, config),
            match=MatchSettings("softmax", end_token=_end_token(config)),
        )
    return replace(
        with_image,
        dimensions=number(section(config, "vision_config"), "hidden_size") or 768,
        text=siglip_text_settings(settings.folder, config),
        match=MatchSettings("sigmoid"),
    )


def _image(folder: Path) -> ImageSettings:
    try:
        return read_image_settings(folder)
    except (OSError, ValueError) as error:
        raise ModelNotLoadable(f"How it wants its images is not understood: {error}.") from error


def _end_token(config: dict[str, Any]) -> int | None:
    """The token that ends a text; None for older files, whose id of it is wrong."""
    value = section(config, "text_config").get("eos_token_id", 49407)
    return value if type(value) is int and value > 2 else None
