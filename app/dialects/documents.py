"""The OpenAPI documents of everything that this server speaks."""

from __future__ import annotations

from app import version_router
from app.dialects import table
from app.reference.documents import Documents


def documents() -> Documents:
    """Those of the dialects, then the versions under ``/api``: the newest of them is the last."""
    return {**table.documents(), **version_router.documents()}
