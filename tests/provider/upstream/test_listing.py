"""The list of a server's models, asked for in a thread that must come back."""

from __future__ import annotations

import asyncio

import pytest

from app.provider.engines.upstream import listing
from app.provider.engines.upstream.declaration import cards_of
from app.provider.errors import EngineUnavailable
from tests.provider.upstream.stub import Answering, stub_server


async def without_end(it: Answering) -> None:
    it.start(kind="application/json")
    while not it.asked.hung_up.is_set():
        it.send(b" ")
        await asyncio.sleep(0.01)


def test_a_list_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LIST_SECONDS", 0.5)
    with stub_server({"/v1/models": without_end}) as stub:
        declared = {"base_url": f"{stub.url}/v1", "models": "all"}
        (card,) = cards_of("box", declared)
        assert card.remote
        with pytest.raises(EngineUnavailable, match="box did not list its models within"):
            listing.list_cards(card, card.remote)
