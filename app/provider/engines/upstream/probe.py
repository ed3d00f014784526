"""Asks a server what it is and what its model takes: once, when the model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.provider.engines.upstream.client import Client
from app.provider.engines.upstream.features import FEATURES, Features
from app.provider.engines.upstream.json_fields import Fields, count_of, section_of
from app.provider.errors import ModelNotLoadable, ProviderError
from app.provider.remote import RemoteModel, ServerKind

USUAL_CONTEXT = 131_072
"""Tokens, where neither server nor declaration says: the server refuses what is too long."""

_OWNERS: dict[str, ServerKind] = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama.cpp",
    "library": "ollama",
    "organization_owner": "lm-studio",
}
"""What servers say of who owns their models → their kind."""
_LISTS_ALL = frozenset({"sllm", "vllm", "sglang", "ollama", "lm-studio"})
"""Kinds whose list has every model that they answer for."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model as its server describes it: the name there, its context in tokens, what it takes."""

    kind: ServerKind
    model: str
    context_length: int
    features: Features


async def probe(client: Client, remote: RemoteModel) -> Served:
    """Ask the server; raises EngineUnavailable, and ModelNotLoadable for what it lacks."""
    listed = await listed_models(client)
    kind = remote.kind if remote.kind != "auto" else await _kind(client, listed)
    entry = _entry(remote, kind, listed)
    model = remote.model or str(entry.get("id", ""))
    if not model:
        raise ModelNotLoadable(f"The server {remote.server} lists no model: name one.", False)
    known = await _details(client, kind, model, entry)
    features = _of_model(FEATURES[kind], known).overridden(remote.features)
    length = remote.context_length or _number(known, "context_length") or USUAL_CONTEXT
    return Served(kind, model, length, features)


async def listed_models(client: Client) -> list[Fields]:
    """The models that the server lists; none where it has no list."""
    data = (await client.find("/v1/models")).get("data")
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


async def _kind(client: Client, listed: list[Fields]) -> ServerKind:
    first = listed[0] if listed else {}
    if isinstance(first.get("capabilities"), dict) and "engine" in first:
        return "sllm"
    if kind := _OWNERS.get(str(first.get("owned_by"))):
        return kind
    paths: dict[str, tuple[str, ServerKind]] = {
        "/version": ("version", "vllm"),
        "/props": ("default_generation_settings", "llama.cpp"),
        "/get_model_info": ("model_path", "sglang"),
        "/api/version": ("version", "ollama"),
    }
    for path, (field, found) in paths.items():
        if field in await _found(client, path):
            return found
    return "generic"


async def _found(client: Client, path: str) -> Fields:
    """What is at a path that only some servers have."""
    try:
        return await client.find(path)
    except ProviderError:
        return {}  # a server may answer any nonsense to a path that it does not know


def _entry(remote: RemoteModel, kind: ServerKind, listed: list[Fields]) -> Fields:
    """What the list says of the model; raises ModelNotLoadable."""
    names = [str(one.get("id")) for one in listed]
    named = [one for one in listed if remote.model in _names(one)] if remote.model else listed
    if len(named) == 1:
        return named[0]
    shown = ", ".join(names[:20]) or "none"
    if not remote.model and listed:
        why = f"The server {remote.server} has several models: name one of {shown}."
        raise ModelNotLoadable(why, False)
    if remote.model and names and kind in _LISTS_ALL and f"{remote.model}:latest" not in names:
        why = f"The server {remote.server} has no model {remote.model!r}; it has: {shown}."
        raise ModelNotLoadable(why, False)
    return {}


def _names(entry: Fields) -> set[str]:
    aliases = entry.get("aliases")
    return {str(entry.get("id")), *map(str, aliases if isinstance(aliases, list) else ())}


async def _details(client: Client, kind: ServerKind, model: str, entry: Fields) -> Fields:
    """``context_length``, and where they are known ``vision`` and ``tools``."""
    match kind:
        case "sllm":
            sees = section_of(entry, "capabilities").get("vision")
            return {"context_length": entry.get("context_length"), "vision": sees}
        case "llama.cpp":
            props = await _found(client, "/props")
            length = section_of(props, "default_generation_settings").get("n_ctx")
            calls = section_of(props, "chat_template_caps").get("supports_tool_calls")
            sees = section_of(props, "modalities").get("vision")
            return {"context_length": length, "vision": sees, "tools": calls}
        case "ollama":
            return await _ollama_details(client, model)
        case "lm-studio":
            return await _lm_studio_details(client, model)
    return {"context_length": entry.get("max_model_len")}


async def _ollama_details(client: Client, model: str) -> Fields:
    try:
        shown = await client.post("/api/show", {"model": model})
    except ProviderError:
        return {}
    sizes = [
        value
        for name, value in section_of(shown, "model_info").items()
        if name.endswith(".context_length")
    ]
    able = shown.get("capabilities") if isinstance(shown, dict) else None
    known = {"vision": "vision" in able, "tools": "tools" in able} if isinstance(able, list) else {}
    return {"context_length": next(iter(sizes), None), **known}


async def _lm_studio_details(client: Client, model: str) -> Fields:
    data = (await _found(client, "/api/v0/models")).get("data")
    entries = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    found: Fields = next((one for one in entries if one.get("id") == model), {})
    length = found.get("loaded_context_length") or found.get("max_context_length")
    known = {"vision": found.get("type") == "vlm"} if found.get("type") else {}
    return {"context_length": length, **known}


def _of_model(features: Features, known: Fields) -> Features:
    """The features of the kind, less what its model is known not to do."""
    if known.get("vision") is False:
        features = replace(features, images=False, tool_images=False)
    if known.get("tools") is False:
        features = replace(features, tools=False)
    return features


def _number(fields: Fields, name: str) -> int:
    value = count_of(fields, name) or 0
    return value if value < 2**31 else 0
