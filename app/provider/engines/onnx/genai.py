"""onnxruntime-genai's own engine, opened with our limits and read as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai as og

from app.provider.engines.onnx.genai_sampling import options
from app.provider.engines.onnx.settings import FILE, Settings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import optional_json
from app.provider.types import Sampling

_LARGEST_RUN = 256
"""Events that are taken from the engine at once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a run said of a request: a token, that its turn is over, or why it failed.

    ``by_model``: the turn is over because the model ended it. ``request`` is None in failures
    that concern all.
    """

    request: og.Request | None
    token: int | None
    over: bool
    by_model: bool
    failure: str


@dataclass(frozen=True, slots=True)
class Room:
    """Sequences that are held, tokens of each, tokens of all."""

    rows: int
    length: int
    cells: int


class Genai:
    """The library's model and engine. Every call must come from the thread that made it.

    Raises ModelNotLoadable. ``page`` tokens of keys and values are held together, ``longest`` is
    what one request may come to.
    """

    def __init__(
        self, folder: Path, settings: Settings, provider: str, threads: int, room: Room
    ) -> None:
        whole = optional_json(folder / FILE)
        self._words = int(whole["model"].get("vocab_size", 0))
        batching = whole.get("engine", {}).get("dynamic_batching", {})
        self.page = int(batching.get("block_size", 256)) if settings.paged else 1
        try:
            config = og.Config(str(folder))
            _choose_provider(config, provider, whole)
            config.overlay(json.dumps(overlay(settings, threads, room, self.page)))
            self._engine = og.Engine(og.Model(config))
        except Exception as error:  # the library's errors have no class in common
            kind = "paged attention" if settings.paged else "this model"
            raise ModelNotLoadable(
                f"onnxruntime-genai cannot run {kind} on {provider}: {error}"
            ) from error
        self._events = self._engine.create_event_buffer(_LARGEST_RUN)
        longest = int(self._engine.get_capabilities().max_request_length)
        self.longest = min(room.length, longest) if longest else room.length

    def request(self, longest: int) -> og.Request:
        """A request of at most that many tokens, over all its turns."""
        whole = og.RequestOptions()
        whole.set_max_session_tokens(longest)
        return self._engine.create_request(options=whole)

    def begin(
        self, request: og.Request, tokens: Sequence[int], sampling: Sampling, limit: int
    ) -> int:
        """Hand in a turn and return its number; RuntimeError when the library refuses it."""
        turn = options(request, sampling, limit, self._words)
        return int(request.begin_turn(np.array(tokens, np.int32), turn))

    def run(self) -> Iterator[Heard]:
        """Advance what can advance; RuntimeError when the engine is beyond repair."""
        if not self._engine.has_pending_requests():
            return
        flags = og.EngineEventFlags
        failures = flags.FAILED | flags.RETRYABLE
        for event in self._engine.run(self._events):
            yield Heard(
                request=event.request,
                token=event.token if event.flags & flags.TOKEN else None,
                over=bool(event.flags & flags.TURN_FINISHED),
                by_model=event.finish_reason == og.FinishReason.EOS,
                failure=event.error_code.name if event.flags & failures else "",
            )


def overlay(settings: Settings, threads: int, room: Room, page: int) -> dict[str, Any]:
    """Our limits in the words of genai_config.json."""
    batching: dict[str, Any] = {"static_batching": {"max_batch_size": room.rows}}
    if settings.paged:
        pages = {"max_batch_size": room.rows, "num_blocks": -(-room.cells // page)}
        # The library's prefixes are everybody's: what one owner computed would serve another.
        batching = {"dynamic_batching": pages | {"prefix_caching": False}}
    # Spinning threads are a little faster alone and ruinous beside any other process.
    session = {"intra_op_num_threads": threads, "session.intra_op.allow_spinning": "0"}
    return {
        "model": {"decoder": {"session_options": session}},
        "search": {"max_length": room.length, "min_length": 0, "num_beams": 1},
        "engine": batching,
    }


def _choose_provider(config: og.Config, provider: str, whole: Mapping[str, Any]) -> None:
    """Name the execution provider, with the options that the folder itself sets for it."""
    config.clear_providers()
    if provider == "cpu":
        return
    config.append_provider(provider)
    named = whole["model"]["decoder"].get("session_options", {}).get("provider_options", [])
    for name, value in next((one[provider] for one in named if provider in one), {}).items():
        config.set_provider_option(provider, name, str(value))
