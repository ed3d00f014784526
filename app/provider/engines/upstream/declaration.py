"""Reads what declares the models of another server: a JSON file, or an entry of ``UPSTREAMS``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from app.provider.card import EncoderFacts, ModelCard, Task, Vision
from app.provider.engines.upstream.features import Features
from app.provider.remote import ALL_MODELS, RemoteModel, ServerKind
from app.provider.runtime.engine_process import SECRET_NAME

OUR_SECRETS = frozenset(
    {"API_KEYS", "ADMIN_API_KEYS", "DATABASE_URL", "HF_TOKEN", "MODELSCOPE_API_TOKEN"}
)
"""Settings that no other server is sent."""

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
_Text = Annotated[str, Meta(min_length=1, max_length=2_000)]


class Timeouts(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to connect, until an answer begins, and between two pieces of it."""

    connect: _Seconds = 10.0
    first_byte: _Seconds = 600.0
    silence: _Seconds = 120.0


class DeclaredModel(Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the server; what it leaves out is said by the server's declaration."""

    model: str = ""
    tasks: tuple[Task, ...] = ()
    context_length: Annotated[int, Meta(ge=0)] | None = None
    dimensions: Annotated[int, Meta(ge=0)] = 0
    prompts: dict[str, str] = {}
    default_prompt: str = ""
    features: dict[str, bool | str] = {}


class Declaration(Struct, frozen=True, forbid_unknown_fields=True):
    """A server and its models: ``models`` maps our ids to the server's names, or is ``all``."""

    base_url: Annotated[str, Meta(max_length=2_000)] = ""
    unix_socket: Annotated[str, Meta(max_length=107)] = ""
    key_env: str = ""
    kind: ServerKind = "auto"
    model: str = ""
    models: dict[_Text, _Text | DeclaredModel] | list[_Text] | Literal["all"] | None = None
    tasks: tuple[Task, ...] = ("chat",)
    context_length: Annotated[int, Meta(ge=0)] = 0
    slots: Annotated[int, Meta(ge=0, le=4096)] = 0
    features: dict[str, bool | str] = {}
    timeouts: Timeouts = Timeouts()

    def declared_models(self, name: str) -> Iterator[tuple[str, DeclaredModel]]:
        """Our id of each model, and what is said of it; without a list there is one, ``name``."""
        if self.models is None:
            yield name, DeclaredModel(self.model)
        elif self.models == "all":
            yield name, DeclaredModel(ALL_MODELS)
        elif isinstance(self.models, list):
            yield from ((model, DeclaredModel(model)) for model in self.models)
        else:
            for ours, model in self.models.items():
                yield ours, DeclaredModel(model) if isinstance(model, str) else model


def cards_of(name: str, declared: bytes | dict[str, Any], path: Path = Path()) -> list[ModelCard]:
    """The models of a declaration; a damaged one is a card with a ``problem``."""
    try:
        declaration = (
            msgspec.json.decode(declared, type=Declaration)
            if isinstance(declared, bytes)
            else msgspec.convert(declared, Declaration)
        )
        return [
            _card(name, ours, model, declaration, path)
            for ours, model in declaration.declared_models(name)
        ] or [_broken(name, path, "It declares no model.")]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return [_broken(name, path, f"It declares no server: {error}.")]


def _broken(name: str, path: Path, problem: str) -> ModelCard:
    return ModelCard(name, "upstream", "upstream", path, 0, 0, (), problem=problem)


def _card(name: str, ours: str, model: DeclaredModel, server: Declaration, path: Path) -> ModelCard:
    """The card of one model; raises ValueError for what no server can be."""
    tasks = model.tasks or server.tasks
    length = server.context_length if model.context_length is None else model.context_length
    chats = "chat" in tasks
    return ModelCard(
        ours,
        "upstream",
        "upstream",
        path,
        size_bytes=0,
        context_length=length,
        tasks=tasks,
        name=model.model,
        vision=Vision() if chats and "vision" in tasks else None,
        encoder=None if chats else _encoder(tasks, model),
        remote=_remote(name, model, server, length),
    )


def _encoder(tasks: tuple[Task, ...], model: DeclaredModel) -> EncoderFacts:
    """What an encoder makes; raises ValueError for a default prompt that is none of its prompts."""
    if model.default_prompt and model.default_prompt not in model.prompts:
        raise ValueError(f"{model.default_prompt!r} is no name of one of the prompts")
    return EncoderFacts(
        dimensions=1 if "rerank" in tasks else model.dimensions,
        prompts=tuple(model.prompts.items()),
        default_prompt=model.default_prompt,
    )


def _remote(name: str, model: DeclaredModel, server: Declaration, length: int) -> RemoteModel:
    features = {**server.features, **model.features}
    Features().overridden(tuple(features.items()))
    times = server.timeouts
    return RemoteModel(
        name,
        _base_url(server),
        model.model,
        server.kind,
        server.unix_socket,
        _key_variable(server.key_env),
        tasks=model.tasks or server.tasks,
        features=tuple(features.items()),
        context_length=length,
        slots=server.slots,
        connect_seconds=times.connect,
        first_seconds=times.first_byte,
        silence_seconds=times.silence,
    )


def _base_url(server: Declaration) -> str:
    """The address without a slash at its end; raises ValueError."""
    given = server.base_url or ("http://localhost/v1" if server.unix_socket else "")
    url = urlsplit(given)
    if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0:
        raise ValueError("base_url must be like http://host:8000/v1")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("base_url has no user, password or query: name the key in key_env")
    return given.rstrip("/")


def _key_variable(name: str) -> str:
    """The variable; raises ValueError for one that is none, or holds a secret of this server.

    Its name must be one that no engine process inherits.
    """
    if name and not _VARIABLE.fullmatch(name):
        raise ValueError("key_env is the name of an environment variable, not the key itself")
    if name and not SECRET_NAME.search(name):
        raise ValueError(f"key_env must end in _KEY or _TOKEN, as in {name}_KEY")
    if name in OUR_SECRETS:
        raise ValueError(f"key_env cannot be {name}, which is a secret of this server")
    return name
