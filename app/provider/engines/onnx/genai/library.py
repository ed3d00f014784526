"""Wraps the engine of onnxruntime-genai: opens it with our limits, returns plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai as og

from app.provider.engines.onnx.genai.sampling import options
from app.provider.engines.onnx.settings import FILE, Settings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import optional_json
from app.provider.types import Sampling

_LARGEST_RUN = 256
"""Events that one call takes from the engine."""


@dataclass(frozen=True, slots=True)
class GenaiEvent:
    """An event of a request: a token, the end of its turn, or a failure.

    ``by_model``: the turn is over because the model ended it. ``request`` is None for failures
    that concern all requests.
    """

    request: og.Request | None
    token: int | None
    over: bool
    by_model: bool
    failure: str


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most sequences (``rows``), tokens of one (``length``) and tokens of all (``cells``)."""

    rows: int
    length: int
    cells: int


class Genai:
    """The library's model and engine. Every call must come from the thread that made it.

    Raises ModelNotLoadable. Keys and values are allocated in pages of ``page`` tokens. A request
    has at most ``longest`` tokens.
    """

    def __init__(
        self, folder: Path, settings: Settings, provider: str, threads: int, room: BatchLimits
    ) -> None:
        whole = optional_json(folder / FILE)
        self._vocabulary_size = int(whole["model"].get("vocab_size", 0))
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
        """Open a request of at most so many tokens over all its turns."""
        whole = og.RequestOptions()
        whole.set_max_session_tokens(longest)
        return self._engine.create_request(options=whole)

    def begin(
        self, request: og.Request, tokens: Sequence[int], sampling: Sampling, limit: int
    ) -> int:
        """Hand in a turn and return its number; RuntimeError when the library refuses it."""
        turn = options(request, sampling, limit, self._vocabulary_size)
        return int(request.begin_turn(np.array(tokens, np.int32), turn))

    def run(self) -> Iterator[GenaiEvent]:
        """Advance all requests; raises RuntimeError when the engine cannot go on."""
        if not self._engine.has_pending_requests():
            return
        flags = og.EngineEventFlags
        failures = flags.FAILED | flags.RETRYABLE
        for event in self._engine.run(self._events):
            yield GenaiEvent(
                request=event.request,
                token=event.token if event.flags & flags.TOKEN else None,
                over=bool(event.flags & flags.TURN_FINISHED),
                by_model=event.finish_reason == og.FinishReason.EOS,
                failure=event.error_code.name if event.flags & failures else "",
            )


def overlay(settings: Settings, threads: int, room: BatchLimits, page: int) -> dict[str, Any]:
    """Our limits as settings of genai_config.json."""
    batching: dict[str, Any] = {"static_batching": {"max_batch_size": room.rows}}
    if settings.paged:
        pages = {"max_batch_size": room.rows, "num_blocks": -(-room.cells // page)}
        # The library would share prefixes between owners.
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
