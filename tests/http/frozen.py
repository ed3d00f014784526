"""Checks answers against the released documents, as they lie in ``api_docs``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import httpx
import schemathesis
from schemathesis.schemas import BaseSchema

DOCUMENTS = Path(__file__).parents[2] / "api_docs"


@cache
def document(version: str) -> BaseSchema:
    return schemathesis.openapi.from_path(DOCUMENTS / f"{version}.json")


def require_valid(version: str, path: str, answer: httpx.Response) -> None:
    """The answer is one that the document of that version has at the path."""
    operation = document(version)[f"/api/{version}{path}"][answer.request.method]
    operation.validate_response(answer)
