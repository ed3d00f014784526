"""What routes may ask for. The only module that names Depends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from app.config import Settings
from app.conversations.answering import Answering
from app.conversations.services import ConversationServices
from app.downloads.download import Downloads
from app.media.intake import Intake
from app.provider.catalogue.checksum_jobs import Checksums as ChecksumService
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.library import TemplateLibrary
from app.templates.of_preset import FindTemplate
from app.web.errors import AdminKeyRequired
from app.web.large_bodies import require_json


@dataclass(frozen=True, slots=True)
class VisionServices:
    """Services that questions with images depend on."""

    conversations: ConversationServices
    intake: Intake


# All of these are coroutines because the framework sends plain functions through its thread pool.


async def _pool(request: Request) -> ModelPool:
    pool: ModelPool = request.state.pool
    return pool


async def _settings(request: Request) -> Settings:
    settings: Settings = request.state.settings
    return settings


async def _database(request: Request) -> Database:
    database: Database = request.state.database
    return database


async def _templates(request: Request) -> TemplateLibrary:
    templates: TemplateLibrary = request.state.templates
    return templates


async def _services(request: Request) -> ConversationServices:
    services: ConversationServices = request.state.services
    return services


async def _answering(request: Request) -> Answering:
    answering: Answering = request.state.answering
    return answering


async def _checksums(request: Request) -> ChecksumService:
    checksums: ChecksumService = request.state.checksums
    return checksums


async def _downloads(request: Request) -> Downloads:
    downloads: Downloads = request.state.downloads
    return downloads


async def _vision(request: Request) -> VisionServices:
    vision: VisionServices = request.state.vision
    return vision


async def _owner(request: Request) -> str:
    owner: str = request.state.owner
    return owner


async def _admin(request: Request) -> None:
    if not request.state.admin:
        raise AdminKeyRequired


async def _json_only(request: Request) -> None:
    require_json(request)


async def _json_if_any(request: Request) -> None:
    sent = request.headers.get("content-length", "0")
    if sent != "0" or "transfer-encoding" in request.headers:
        require_json(request)


async def _find_template(request: Request) -> FindTemplate:
    services: ConversationServices = request.state.services
    return partial(services.find_template, request.state.owner)


Pool = Annotated[ModelPool, Depends(_pool)]
Store = Annotated[Database, Depends(_database)]
Templates = Annotated[TemplateLibrary, Depends(_templates)]
TemplateFinder = Annotated[FindTemplate, Depends(_find_template)]
Services = Annotated[ConversationServices, Depends(_services)]
Answers = Annotated[Answering, Depends(_answering)]
Checksums = Annotated[ChecksumService, Depends(_checksums)]
Pulls = Annotated[Downloads, Depends(_downloads)]
Vision = Annotated[VisionServices, Depends(_vision)]
AppSettings = Annotated[Settings, Depends(_settings)]
Owner = Annotated[str, Depends(_owner)]
"""Who asks, as a key for caches: never the API key itself."""

ADMIN_ONLY = Depends(_admin)
"""For the ``dependencies`` of a route that decides for everybody which models there are."""

JSON_ONLY = Depends(_json_only)
"""For the ``dependencies`` of a route that takes a JSON body."""

JSON_OR_NOTHING = Depends(_json_if_any)
"""For one whose body may be left out."""
