"""The Model Context Protocol: what a tool's call costs beyond the same question over REST.

The echo engine answers, one call at a time over a kept-open connection, in both ways that the
protocol has: those before 2026-07-28, and the newest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx2

from bench.contestants.servers import OURS
from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads.echo import BODY, median_milliseconds, serving

CALL = {"name": "chat", "arguments": BODY}
NEWEST = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": NEWEST,
    "io.modelcontextprotocol/clientCapabilities": {},
}
ACCEPT = {"accept": "application/json, text/event-stream"}
HEADERS = {"mcp-protocol-version": NEWEST, "mcp-method": "tools/call", "mcp-name": "chat"}


def run(plan: Plan) -> Iterator[Sample]:
    """Medians of one call at a time, and what they are more than REST."""
    for number in range(plan.scale.rounds):
        for name, root in plan.checkouts():
            if name == OURS:
                with serving(root, plan.cache) as port:
                    for figure, value in _figures(port, plan.scale.echo_requests).items():
                        yield Sample(figure, name, number, value)


def _figures(port: int, requests: int) -> dict[str, float]:
    with contextlib.closing(httpx2.Client(base_url=f"http://127.0.0.1:{port}")) as http:
        rest = median_milliseconds(lambda: http.post("/api/v1/chat", json=BODY), requests)
        older = median_milliseconds(lambda: _called(http, CALL, {}), requests)
        newest = median_milliseconds(
            lambda: _called(http, CALL | {"_meta": META}, HEADERS), requests
        )
    return {
        "mcp.older": older,
        "mcp.older.more": older - rest,
        "mcp.newest": newest,
        "mcp.newest.more": newest - rest,
    }


def _called(http: httpx2.Client, params: dict[str, Any], headers: dict[str, str]) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = http.post("/mcp", json=message, headers=ACCEPT | headers)
    if str(BODY["message"]) not in answer.text:
        raise RuntimeError(answer.text)
