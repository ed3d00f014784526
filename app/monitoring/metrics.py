"""``/metrics``: figures for Prometheus, in its text format or in OpenMetrics.

Not public: it shows what is asked of the server. docs/monitoring.md explains every figure.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

router = APIRouter(include_in_schema=False)


@router.api_route("/metrics", methods=["GET", "HEAD"])
async def metrics(request: Request) -> Response:
    """Measure now, and answer in the format that the client prefers."""
    # Only who is scraped needs them: they would be a tenth of the start-up time.
    from app.monitoring import snapshot  # noqa: PLC0415
    from app.monitoring.prometheus import rendered  # noqa: PLC0415

    state = request.state
    figures = state.group or snapshot.OwnFigures(state.traffic)
    measured = await snapshot.read(state.pool, state.database, figures)
    body, media_type = rendered(measured, request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type})
