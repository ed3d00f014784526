"""What a request in the protocol may use: the services of the application, for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from app.config import Settings
from app.conversations.services import ConversationServices
from app.dependencies import VisionServices
from app.mcp.progress import Progress
from app.media.intake import Intake
from app.provider.pool.pool import ModelPool
from app.storage.database import Database
from app.templates.rendering import CompiledTemplate

Context = ServerRequestContext[Any, Request]
"""What the SDK gives its handlers."""


def request_of(ctx: Context) -> Request:
    """The HTTP request that carries the message."""
    if ctx.request is None:
        raise LookupError("the message did not come over HTTP")
    return ctx.request


@dataclass(frozen=True, slots=True)
class Call:
    """One request: whose it is, what it may use, and where it reports progress."""

    owner: str
    settings: Settings
    conversations: ConversationServices
    intake: Intake
    progress: Progress
    protocol: str

    @classmethod
    def of(cls, ctx: Context) -> Call:
        """The call that the SDK passes on."""
        state = request_of(ctx).state
        vision: VisionServices = state.vision
        return cls(
            owner=state.owner,
            settings=state.settings,
            conversations=vision.conversations,
            intake=vision.intake,
            progress=Progress(ctx.session.report_progress),
            protocol=ctx.protocol_version,
        )

    @property
    def pool(self) -> ModelPool:
        """The models."""
        return self.conversations.pool

    @property
    def database(self) -> Database:
        """What is stored."""
        return self.conversations.database

    async def find_template(self, name: str) -> CompiledTemplate:
        """A template of the owner; raises TemplateNotFound."""
        return await self.conversations.find_template(self.owner, name)
