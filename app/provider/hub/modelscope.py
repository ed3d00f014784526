"""ModelScope: what a repository holds, and where its files are.

The addresses and names are those that ModelScope's own client uses (modelscope/hub/api.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from huggingface_hub import get_session

from app.provider.hub.errors import NotOnHub
from app.provider.hub.names import is_safe
from app.provider.hub.plan import HubFile, Listing

ANSWER_SECONDS = 20.0
NEWEST = "master"


def listing(endpoint: str, repo: str, token: str) -> Listing:
    """List the files of ``repo``; raises NotOnHub and what the client raises."""
    query = urlencode({"Revision": NEWEST, "Recursive": "true"})
    data = _asked(f"{endpoint}/api/v1/models/{repo}/repo/files?{query}", token)
    if not data.get("Files"):
        raise NotOnHub(f"{repo} has no files at {endpoint}.")
    about = _asked(f"{endpoint}/api/v1/models/{repo}", token)
    found = [_file(entry) for entry in data["Files"] if entry["Type"] == "blob"]
    commit = data.get("LatestCommitter") or {}
    return Listing(
        hub="modelscope",
        repo=repo,
        revision=str(commit.get("Id") or commit.get("ShortId") or NEWEST),
        licence=str(about.get("License") or "not stated"),
        files=tuple(file for file in found if is_safe(file.path)),
    )


def address(endpoint: str, repo: str, token: str, file: HubFile) -> tuple[str, dict[str, str]]:
    """The URL of a file, and the headers to ask with."""
    query = urlencode({"Revision": file.revision, "FilePath": file.path})
    return f"{endpoint}/api/v1/models/{repo}/repo?{query}", _headers(token)


def _asked(url: str, token: str) -> Mapping[str, Any]:
    answer = get_session().get(url, headers=_headers(token), timeout=ANSWER_SECONDS)
    answer.raise_for_status()
    data: Mapping[str, Any] = answer.json()["Data"] or {}
    return data


def _headers(token: str) -> dict[str, str]:
    """Old routes take the token as a cookie, new ones as a bearer token."""
    token = token or os.environ.get("MODELSCOPE_API_TOKEN", "")
    return {"authorization": f"Bearer {token}", "cookie": f"m_session_id={token}"} if token else {}


def _file(entry: Mapping[str, Any]) -> HubFile:
    return HubFile(
        path=str(entry["Path"]),
        size=int(entry.get("Size") or 0),
        sha256=str(entry.get("Sha256") or ""),
        git_id="",
        revision=str(entry.get("Revision") or NEWEST),
    )
