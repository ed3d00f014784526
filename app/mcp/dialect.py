"""All of the dialect: what ``app.dialects`` imports after the start."""

from __future__ import annotations

from app.mcp.errors import render
from app.mcp.router import router
from app.web.dialect import Dialect

DIALECT = Dialect("mcp", (router,), render, large=frozenset({"/mcp"}))
