"""The figures of a ``Reading`` as metrics of Prometheus: their names, units and labels.

The only module that imports prometheus_client; what each metric is for says docs/monitoring.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from app.monitoring.snapshot import Reading
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ModelNotLoadable,
    UnsupportedInput,
)
from app.provider.runtime.metrics import Error, ModelMetrics, Outcome
from app.provider.runtime.status import HostStatus, State
from app.web.error_codes import kind_of

MODEL = ("model",)

COUNTERS: dict[str, tuple[str, Callable[[ModelMetrics], float]]] = {
    "sllm_prompt_tokens": ("Tokens of accepted prompts.", lambda it: it.prompt_tokens),
    "sllm_cached_tokens": (
        "Tokens of accepted prompts that did not have to be computed.",
        lambda it: it.cached_tokens,
    ),
    "sllm_completion_tokens": ("Tokens of answers.", lambda it: it.completion_tokens),
    "sllm_decode_seconds": (
        "Time from the first text of an answer to its end, summed over answers.",
        lambda it: it.decode_seconds,
    ),
    "sllm_engine_restarts": (
        "Times the engine process was started again after a crash or a hang.",
        lambda it: it.restarts,
    ),
}
"""Name → help and value; the name ends with its unit, and ``_total`` is added."""

GAUGES: dict[str, tuple[str, Callable[[HostStatus], float]]] = {
    "sllm_active_requests": ("Requests whose prompt the engine has taken.", lambda it: it.active),
    "sllm_waiting_requests": ("Requests that wait for their turn.", lambda it: it.waiting),
    "sllm_engine_healthy": (
        "1 while the engine does its work, or has none; 0 while it is down or hangs.",
        lambda it: it.healthy,
    ),
    "sllm_engine_threads": ("CPU threads that the engine may use.", lambda it: it.threads),
}

ENDS: tuple[tuple[Outcome, Error], ...] = (
    ("stop", None),
    ("length", None),
    ("cancelled", None),
    *(("refused", error) for error in (ContextOverflow, EngineBusy, UnsupportedInput)),
    *(("failed", error) for error in (EngineUnavailable, ModelNotLoadable)),
)
"""Exported from the start, at 0: a counter that appears with a 1 hides its first increase."""


def exposed(reading: Reading, accept: str) -> tuple[bytes, str]:
    """The text of all metrics, and its media type, chosen by the header Accept."""
    encode, media_type = choose_encoder(accept)
    return encode(_Collected(reading)), media_type


class _Collected:
    """What the library's encoders read: a thing with ``collect``."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """Every metric family."""
        yield _requests(self._reading)
        yield from _counted(self._reading)
        yield _first_token(self._reading)
        yield _loads(self._reading)
        yield _states(self._reading)
        yield from _engines(self._reading)
        yield from _memory(self._reading)
        yield from _server(self._reading)
        yield from _process(self._reading)


def _requests(reading: Reading) -> Metric:
    told = "Requests that ended, by how; code says which error refused them or made them fail."
    family = CounterMetricFamily("sllm_requests", told, labels=("model", "outcome", "code"))
    for model, metrics in reading.metrics.items():
        for (outcome, code), count in _by_code(metrics).items():
            family.add_metric((model, outcome, code), count)
    return family


def _by_code(metrics: ModelMetrics) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for outcome, error in dict.fromkeys((*ENDS, *metrics.requests)):
        code = kind_of(error).code if error else ""
        counts[outcome, code] += metrics.requests[outcome, error]
    return counts


def _counted(reading: Reading) -> Iterator[Metric]:
    for name, (told, value) in COUNTERS.items():
        family = CounterMetricFamily(name, told, labels=MODEL)
        for model, metrics in reading.metrics.items():
            family.add_metric((model,), value(metrics))
        yield family


def _first_token(reading: Reading) -> Metric:
    told = "Time from a request to the first text of its answer; loading and waiting count."
    family = HistogramMetricFamily("sllm_time_to_first_token_seconds", told, labels=MODEL)
    for model, metrics in reading.metrics.items():
        waits = metrics.first_token_seconds
        buckets = [(_bound(bound), count) for bound, count in waits.cumulative()]
        family.add_metric((model,), buckets, waits.sum)
    return family


def _bound(seconds: float) -> str:
    return "+Inf" if math.isinf(seconds) else str(seconds)


def _loads(reading: Reading) -> Metric:
    told = "Loads of the model, and how long they took."
    family = SummaryMetricFamily("sllm_model_load_seconds", told, labels=MODEL)
    for model, metrics in reading.metrics.items():
        family.add_metric((model,), metrics.loads, metrics.load_seconds)
    return family


def _states(reading: Reading) -> Metric:
    told = "1 for the state that the model is in, 0 for the others."
    family = GaugeMetricFamily("sllm_model_state", told, labels=("model", "state"))
    for model in reading.metrics:
        status = reading.statuses.get(model)
        now = status.state if status else "unloaded"
        for state in get_args(State):
            family.add_metric((model, state), state == now)
    return family


def _engines(reading: Reading) -> Iterator[Metric]:
    for name, (told, value) in GAUGES.items():
        family = GaugeMetricFamily(name, told, labels=MODEL)
        for model, status in reading.statuses.items():
            family.add_metric((model,), value(status))
        yield family


def _memory(reading: Reading) -> Iterator[Metric]:
    ledger = reading.ledger.items()
    held = {model: entry.measured for model, entry in ledger if entry.measured}
    ram = {model: entry.predicted for model, entry in ledger}
    gpu = {model: entry.placement.gpu_bytes for model, entry in ledger}
    for name, told, figures in (
        ("sllm_engine_memory_bytes", "RAM that the engine process holds.", held),
        (
            "sllm_engine_predicted_memory_bytes",
            "RAM that it may take, predicted before loading.",
            ram,
        ),
        ("sllm_engine_predicted_gpu_memory_bytes", "GPU memory that it may take, predicted.", gpu),
    ):
        family = GaugeMetricFamily(name, told, labels=MODEL)
        for model, figure in figures.items():
            family.add_metric((model,), figure)
        yield family


def _server(reading: Reading) -> Iterator[Metric]:
    told = "HTTP requests answered, by status; 0: the client left before there was one."
    family = CounterMetricFamily("sllm_http_requests", told, labels=("method", "status"))
    for (method, status), count in reading.traffic.items():
        family.add_metric((method, str(status)), count)
    yield family
    told = "1 while the database can be reached."
    yield GaugeMetricFamily("sllm_database_up", told, reading.database_up)
    told = "How long a task waited for its turn on the event loop just now."
    yield GaugeMetricFamily("sllm_event_loop_lag_seconds", told, reading.lag)


def _process(reading: Reading) -> Iterator[Metric]:
    """Of the API process, under the names that every Prometheus client uses."""
    own = reading.process
    told = "RAM that the API process holds."
    yield GaugeMetricFamily("process_resident_memory_bytes", told, own.resident_bytes)
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the API process.", own.cpu_seconds
    )
    yield GaugeMetricFamily("process_open_fds", "Files the API process holds open.", own.open_files)
    told = "Unix time of the start of the API process."
    yield GaugeMetricFamily("process_start_time_seconds", told, own.started_at)
