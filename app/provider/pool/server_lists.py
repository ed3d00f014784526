"""The models of servers whose declarations name none: what each server listed last.

Scans wait for no network: a list is asked for in a thread of its own, and the next scan has it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from app.provider.card import ModelCard
from app.provider.errors import EngineUnavailable, ProviderError
from app.provider.pool.remote_key import with_key
from app.provider.remote import ALL_MODELS

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0
"""After so long a list is asked for again, where the last one has come, or has not; after the
shorter time too where it lacks a model that somebody names."""

WAIT_SECONDS = 15.0
LOOK_SECONDS = 0.02
"""How long somebody waits for lists that have been asked for; seconds between two looks."""

NOT_LISTED_YET = "Its server is asked which models it has: ask again in a second."
NOTHING_LISTED = "Its server lists no models."
_LISTING = "app.provider.engines.upstream.listing"


@dataclass(slots=True)
class _ServerList:
    """What one server listed; ``problem`` is why it listed nothing."""

    cards: list[ModelCard] = field(default_factory=list)
    problem: str = NOT_LISTED_YET
    asked_at: float = 0.0
    due_at: float = 0.0
    thread: threading.Thread | None = None


class ServerLists:
    """Replaces cards that stand for all models of a server."""

    def __init__(self) -> None:
        self._lists: dict[ModelCard, _ServerList] = {}

    def expanded(self, cards: Iterable[ModelCard]) -> list[ModelCard]:
        """The cards, with the models of servers in place of those that stand for all of them."""
        found, asked = list[ModelCard](), set[ModelCard]()
        for card in cards:
            if card.remote is not None and card.remote.model == ALL_MODELS:
                asked.add(card)
                found += self._listed(card)
            else:
                found.append(card)
        for known in list(self._lists):
            if known not in asked:  # it is declared no more
                self._lists.pop(known, None)
        return found

    def expect_more(self) -> bool:
        """Let the next scan ask for lists older than RETRY_SECONDS; False where there are none."""
        for known in list(self._lists.values()):
            known.due_at = min(known.due_at, known.asked_at + RETRY_SECONDS)
        return bool(self._lists)

    async def wait(self) -> None:
        """Wait for the lists that have been asked for."""
        end = time.monotonic() + WAIT_SECONDS
        while self._asking() and time.monotonic() < end:  # noqa: ASYNC110 — threads set no event
            await asyncio.sleep(LOOK_SECONDS)

    def require_all(self) -> None:
        """Raise EngineUnavailable where a list has never come: it may have any model."""
        for known in list(self._lists.values()):
            if not known.cards and known.problem != NOTHING_LISTED:
                raise EngineUnavailable(known.problem, RETRY_SECONDS)

    def _asking(self) -> bool:
        return any(one.thread for one in list(self._lists.values()))

    def _listed(self, card: ModelCard) -> list[ModelCard]:
        known = self._lists.setdefault(card, _ServerList())
        if known.thread is None and time.monotonic() >= known.due_at:
            known.thread = threading.Thread(
                target=_ask, args=(card, known), name="server-list", daemon=True
            )
            known.thread.start()
        return known.cards or [replace(card, tasks=(), problem=known.problem)]


def _ask(card: ModelCard, known: _ServerList) -> None:
    """Ask the server; what it listed before stays where it does not answer now."""
    pause = RETRY_SECONDS
    try:
        assert card.remote  # noqa: S101 — only such cards are listed
        list_cards = importlib.import_module(_LISTING).list_cards
        known.cards = list_cards(card, with_key(card.remote))
        known.problem = NOTHING_LISTED
        pause = FRESH_SECONDS
    except ProviderError as error:
        known.problem = str(error)
    except Exception:  # a thread that dies would never ask again
        log.exception("a server's list cannot be read")
        known.problem = "Its server's list cannot be read."
    finally:
        known.asked_at = time.monotonic()
        known.due_at = known.asked_at + pause
        known.thread = None
