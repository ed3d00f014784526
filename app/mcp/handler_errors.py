"""Errors of handlers as those of JSON-RPC, with the sentence that every dialect has for them."""

from __future__ import annotations

import logging

from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import ValidationError

from app.mcp.call import Context, request_of
from app.web.error_codes import kind_of_error
from app.web.error_text import error_sentence

log = logging.getLogger(__name__)


async def explain(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server: raises MCPError in place of the application's errors."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Exception as error:
        kind, request_id = kind_of_error(error), request_of(ctx).state.request_id
        if kind.status == 500:
            log.exception("request %s failed", request_id)
        code = INTERNAL_ERROR if kind.status >= 500 else INVALID_PARAMS
        raise MCPError(code, error_sentence(error, request_id), {"code": kind.code}) from error
