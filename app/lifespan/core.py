"""What exists before the server starts."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Settings
from app.lifespan.engine_runtime import WorkerGroup
from app.templates.library import TemplateLibrary
from app.web.error_rendering import ErrorRenderers
from app.web.lazy_router import LazyRouter
from app.web.request_log import Traffic


@dataclass(frozen=True, slots=True)
class Core:
    """What exists before the server starts.

    ``bounded``: the server keeps the bounds it can. ``prepared``: the database has been checked.
    ``workers``: the processes that serve beside this one; ``finds_workers``: another server has
    started this process, and how is still to be found out.
    """

    settings: Settings
    templates: TemplateLibrary
    traffic: Traffic
    errors: ErrorRenderers
    versions: tuple[LazyRouter, ...]
    dialects: tuple[LazyRouter, ...]
    bounded: bool
    prepared: bool
    workers: WorkerGroup
    finds_workers: bool
