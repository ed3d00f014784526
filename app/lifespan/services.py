"""The services that only routes of the API use. ``AfterStart`` imports this after the start."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from app.config import Settings
from app.config.runtime import share
from app.conversations.answering import Answering
from app.conversations.heartbeat import Heartbeat
from app.conversations.janitor import AbandonedTurnJanitor
from app.conversations.services import ConversationServices
from app.dependencies import VisionServices
from app.dialects.documents import documents
from app.downloads.download import Downloads
from app.downloads.jobs import DownloadJobs
from app.idempotency.keys import IdempotencyKeys
from app.lifespan.core import Core
from app.mcp.endpoint import McpEndpoint
from app.media.intake import Intake
from app.provider.catalogue.checksum_jobs import ChecksumJobs, Checksums
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.library import TemplateLibrary

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from app.model_server.shared_runtime import SharedRuntime


class Services(TypedDict):
    """What requests to the API may use, besides ``startup.State``."""

    templates: TemplateLibrary
    services: ConversationServices
    answering: Answering
    checksums: Checksums
    downloads: Downloads
    vision: VisionServices
    mcp: McpEndpoint
    idempotency: IdempotencyKeys


async def start(
    core: Core,
    database: Database,
    pool: ModelPool,
    stack: AsyncExitStack,
    shared: SharedRuntime | None = None,
) -> Services:
    """Start them all; ``stack`` closes them in reverse order.

    Downloads and checksums are those of the ``shared`` model server, where there is one.
    """
    await _start_janitor(database, stack)
    heartbeat = _start_heartbeat(database, stack)
    services = _conversation_services(core, database, pool, heartbeat)
    checksums = shared.checksums if shared else ChecksumJobs()
    stack.push_async_callback(checksums.close)
    return {
        "templates": core.templates,
        "services": services,
        "answering": _answering(core, services, stack),
        "checksums": checksums,
        "downloads": await _start_downloads(core.settings, pool, stack, shared),
        "vision": VisionServices(services, _intake(core, stack)),
        "mcp": _mcp_endpoint(stack, shared),
        "idempotency": _start_idempotency(core.settings, database, stack),
    }


async def _start_janitor(database: Database, stack: AsyncExitStack) -> None:
    """First of all: no turn may begin before those of servers that died have been failed."""
    janitor = AbandonedTurnJanitor(database)
    stack.push_async_callback(janitor.close)  # a start that fails may hold the process lock
    await janitor.start()


def _start_heartbeat(database: Database, stack: AsyncExitStack) -> Heartbeat:
    heartbeat = Heartbeat(database)
    heartbeat.start()
    stack.push_async_callback(heartbeat.close)
    return heartbeat


def _conversation_services(
    core: Core, database: Database, pool: ModelPool, heartbeat: Heartbeat
) -> ConversationServices:
    return ConversationServices(
        database,
        pool,
        core.templates,
        heartbeat,
        max_messages=core.settings.max_history_length,
        answer_tokens=core.settings.default_max_tokens,
        max_images=core.settings.max_images,
    )


def _answering(core: Core, services: ConversationServices, stack: AsyncExitStack) -> Answering:
    """Half of an engine's slots are left to those who wait for their answers."""
    settings, processes = core.settings, core.workers.size
    at_once, most = share(settings.engine_slots // 2, processes), settings.max_background_answers
    answering = Answering(services, at_once, share(most, processes) if most else 0)
    stack.push_async_callback(answering.close)
    return answering


async def _start_downloads(
    settings: Settings, pool: ModelPool, stack: AsyncExitStack, shared: SharedRuntime | None
) -> Downloads:
    if shared:
        shared.downloads.arrived = pool.cards
        return shared.downloads
    downloads = DownloadJobs(settings.hubs(), settings.models_dir, pool.cards)
    await downloads.start()
    stack.push_async_callback(downloads.close)
    return downloads


def _intake(core: Core, stack: AsyncExitStack) -> Intake:
    intake = Intake(core.settings.media(core.workers.size))
    stack.push_async_callback(intake.close)
    return intake


def _mcp_endpoint(stack: AsyncExitStack, shared: SharedRuntime | None) -> McpEndpoint:
    endpoint = McpEndpoint(partial(_make_mcp_server, shared))
    stack.push_async_callback(endpoint.close)
    return endpoint


def _start_idempotency(
    settings: Settings, database: Database, stack: AsyncExitStack
) -> IdempotencyKeys:
    keys = IdempotencyKeys(database, settings.idempotency_mb * 2**20)
    keys.start()
    stack.push_async_callback(keys.close)
    return keys


def _make_mcp_server(shared: SharedRuntime | None) -> Server[Any]:
    from app.mcp.server import make_server  # noqa: PLC0415 - takes longer than the whole start

    return make_server(documents(), shared)
