"""Finds the API key of another server."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from app.provider.errors import ModelNotLoadable
from app.provider.remote import RemoteModel


def with_key(remote: RemoteModel) -> RemoteModel:
    """The model with the key of its server; raises ModelNotLoadable where that is not set.

    It is looked for in the environment, then in ``.env``, each time that the model is loaded.
    """
    if not remote.key_env:
        return remote
    key = (os.environ.get(remote.key_env) or _in_env_file(remote.key_env)).strip()
    if not key or not all("!" <= letter <= "~" for letter in key):
        why = "is not set" if not key else "holds what no header can carry"
        raise ModelNotLoadable(
            f"The key of the server {remote.server} is missing: {remote.key_env} {why}.", False
        )
    return replace(remote, key=key)


def _in_env_file(name: str) -> str:
    from dotenv import dotenv_values  # noqa: PLC0415 — only for a server that wants a key

    path = Path(".env")
    return (path.is_file() and dotenv_values(path, interpolate=False).get(name)) or ""
