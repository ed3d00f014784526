"""The layers of docs/architecture.md, and which import of ``app`` breaks them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

APP = Path(__file__).parents[2] / "app"

ROOT, DIALECT, EDGE, DOMAIN, ENGINES, NONE = range(6)

LAYERS = {
    "app.dialects": ROOT,
    "app.lifespan": ROOT,
    "app.main": ROOT,
    "app.version_router": ROOT,
    "app.versions": ROOT,
    "app.dependencies": EDGE,
    "app.config": EDGE,
    "app.web": EDGE,
    "app.page": EDGE,
    "app.reference": EDGE,
    "app.monitoring": EDGE,
    "app.cli": ROOT,  # entry points, like app.main
    "app.client": ROOT,
    "app.langchain": ROOT,
    "app.models": ROOT,
    "app.model_server": ROOT,
    "app.errors": DOMAIN,
    "app.chat": DOMAIN,
    "app.encoding": DOMAIN,
    "app.templates": DOMAIN,
    "app.conversations": DOMAIN,
    "app.idempotency": DOMAIN,
    "app.media": DOMAIN,
    "app.downloads": DOMAIN,
    "app.storage": DOMAIN,
    "app.provider": ENGINES,
}

DIALECTS = ("openai", "anthropic", "tool", "mcp")
"""Dialects beside the versions of the API; none imports another."""

WIRE_LIBRARIES = ("fastapi", "starlette", "pydantic", "uvicorn", "prometheus_client")
"""What domain and engines do not import: they have values of their own."""

OWNERS = ("app.provider.pool.loaded_models", "app.provider.runtime.host")
"""What owns the engine processes; everybody else asks ``app.provider.pool.model_host``."""


@cache
def modules() -> frozenset[str]:
    """Dotted names of all modules and packages of ``app``."""
    paths = (path.relative_to(APP.parent).with_suffix("") for path in APP.rglob("*.py"))
    return frozenset(".".join(path.parts).removesuffix(".__init__") for path in paths)


def layer(module: str) -> int:
    """The layer of a module; raises KeyError for one that lies in no known folder."""
    if dialect(module):
        return DIALECT
    parts = module.split(".")
    return LAYERS[".".join(parts[:2])] if len(parts) > 1 else NONE


def dialect(module: str) -> str:
    """The folder of ``app`` that a dialect is; empty for what belongs to none."""
    second = module.split(".")[1] if "." in module else ""
    return second if second in DIALECTS or version(module) else ""


def version(module: str) -> int:
    """The N of ``app.vN``; 0 for what is no version of the API."""
    second = module.split(".")[1] if "." in module else ""
    return int(second[1:]) if second[:1] == "v" and second[1:].isdigit() else 0


def imports(module: str) -> Iterator[str]:
    """What a module imports: modules of ``app`` by their full names, others as written."""
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else node.module


def breaks(module: str, imported: str) -> bool:
    """Whether the import goes up, to another dialect, to a library of the wire, or to an owner."""
    mine = layer(module)
    if imported in OWNERS and mine != ENGINES:
        return True
    library = imported.split(".", maxsplit=1)[0]
    if library != "app":
        return (mine in (DOMAIN, ENGINES) and library in WIRE_LIBRARIES) or (
            mine == ENGINES and library == "sqlalchemy"
        )
    theirs = layer(imported)
    if mine == theirs == DIALECT:
        older = 0 < version(imported) < version(module)
        return dialect(imported) != dialect(module) and not older
    return theirs < mine


def violations() -> set[str]:
    """All imports that break the layers, as ``importer -> imported``."""
    return {
        f"{module} -> {imported}"
        for module in modules()
        for imported in imports(module)
        if breaks(module, imported)
    }


def _path(module: str) -> Path:
    plain = APP.parent.joinpath(*module.split("."))
    return plain / "__init__.py" if plain.is_dir() else plain.with_suffix(".py")
