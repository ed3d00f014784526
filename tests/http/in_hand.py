"""What the engines of a server have in hand: a request that was accepted reaches them later."""

from __future__ import annotations

import time

import httpx


def requests_in_hand(client: httpx.Client) -> int:
    """How many requests the engines have, or will have."""
    models = client.get("/health").json()["models"].values()
    return sum(int(model["active"] + model["waiting"]) for model in models)


def until_busy(client: httpx.Client) -> None:
    """Until an engine has something in hand: what happens to it then happens to the request."""
    _wait_until(client, busy=True)


def until_idle(client: httpx.Client) -> None:
    """Until no engine has anything in hand: so nothing of this test counts in the next one."""
    _wait_until(client, busy=False)


def _wait_until(client: httpx.Client, *, busy: bool) -> None:
    deadline = time.monotonic() + 60
    while bool(requests_in_hand(client)) != busy:
        assert time.monotonic() < deadline
        time.sleep(0.01)
