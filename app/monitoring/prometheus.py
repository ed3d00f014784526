"""The figures of a ``MetricsSnapshot`` as metrics of Prometheus: their names, units and labels.

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

from app.monitoring.snapshot import MetricsSnapshot
from app.provider import errors
from app.provider.runtime.metrics import MetricValues, Outcome
from app.provider.runtime.status import HostStatus, State
from app.web.error_codes import kind_of
from app.web.request_log import Traffic

MODEL = ("model",)

COUNTERS: dict[str, tuple[str, Callable[[MetricValues], float]]] = {
    "sllm_prompt_tokens": (
        "Tokens of accepted prompts and of encoded inputs.",
        lambda it: it.prompt_tokens,
    ),
    "sllm_encoded_inputs": (
        "Texts, pairs of texts and images that became vectors or scores.",
        lambda it: it.encoded_inputs,
    ),
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

ENDS: tuple[tuple[Outcome, str], ...] = (
    ("stop", ""),
    ("length", ""),
    ("cancelled", ""),
    *(
        ("refused", error)
        for error in ("ContextOverflow", "EngineBusy", "InputTooLong", "UnsupportedInput")
    ),
    *(("failed", error) for error in ("EngineUnavailable", "ModelNotLoadable")),
)
"""Exported from the start, at 0: a counter that appears with a 1 hides its first increase."""


def rendered(snapshot: MetricsSnapshot, accept: str) -> tuple[bytes, str]:
    """The text of all metrics, and its media type, chosen by the header Accept."""
    encode, media_type = choose_encoder(accept)
    return encode(_Collected(snapshot)), media_type


class _Collected:
    """What the library's encoders read: a thing with ``collect``."""

    def __init__(self, snapshot: MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Every metric family."""
        yield _requests(self._snapshot)
        yield from _counted(self._snapshot)
        yield _first_token(self._snapshot)
        yield _loads(self._snapshot)
        yield _states(self._snapshot)
        yield from _engines(self._snapshot)
        yield from _memory(self._snapshot)
        yield from _server(self._snapshot)
        yield from _process(self._snapshot)


def _requests(snapshot: MetricsSnapshot) -> Metric:
    text = "Requests that ended, by how; code says which error refused them or made them fail."
    family = CounterMetricFamily("sllm_requests", text, labels=("model", "outcome", "code"))
    for model, metrics in snapshot.models.metrics.items():
        for (outcome, code), count in _by_code(metrics).items():
            family.add_metric((model, outcome, code), count)
    return family


def _by_code(metrics: MetricValues) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for outcome, error in dict.fromkeys((*ENDS, *metrics.requests)):
        counts[outcome, _code(error)] += metrics.requests.get((outcome, error), 0)
    return counts


def _code(error: str) -> str:
    """The code of an error of that class, as responses state it; a bug's is that of a 500."""
    return kind_of(getattr(errors, error, Exception)).code if error else ""


def _counted(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    for name, (text, value) in COUNTERS.items():
        family = CounterMetricFamily(name, text, labels=MODEL)
        for model, metrics in snapshot.models.metrics.items():
            family.add_metric((model,), value(metrics))
        yield family


def _first_token(snapshot: MetricsSnapshot) -> Metric:
    text = "Time from a request to the first text of its answer; loading and waiting count."
    family = HistogramMetricFamily("sllm_time_to_first_token_seconds", text, labels=MODEL)
    for model, metrics in snapshot.models.metrics.items():
        buckets = [(_bound(bound), count) for bound, count in metrics.first_token_buckets]
        family.add_metric((model,), buckets, metrics.first_token_seconds)
    return family


def _bound(seconds: float) -> str:
    return "+Inf" if math.isinf(seconds) else str(seconds)


def _loads(snapshot: MetricsSnapshot) -> Metric:
    text = "Loads of the model, and how long they took."
    family = SummaryMetricFamily("sllm_model_load_seconds", text, labels=MODEL)
    for model, metrics in snapshot.models.metrics.items():
        family.add_metric((model,), metrics.loads, metrics.load_seconds)
    return family


def _states(snapshot: MetricsSnapshot) -> Metric:
    text = "1 for the state that the model is in, 0 for the others."
    family = GaugeMetricFamily("sllm_model_state", text, labels=("model", "state"))
    for model in snapshot.models.metrics:
        status = snapshot.models.statuses.get(model)
        now = status.state if status else "unloaded"
        for state in get_args(State):
            family.add_metric((model, state), state == now)
    return family


def _engines(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    for name, (text, value) in GAUGES.items():
        family = GaugeMetricFamily(name, text, labels=MODEL)
        for model, status in snapshot.models.statuses.items():
            family.add_metric((model,), value(status))
        yield family


def _memory(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    ledger = snapshot.models.ledger.items()
    held = {model: entry.measured for model, entry in ledger if entry.measured}
    ram = {model: entry.predicted for model, entry in ledger}
    gpu = {model: entry.placement.gpu_bytes for model, entry in ledger}
    for name, text, figures in (
        ("sllm_engine_memory_bytes", "RAM that the engine process holds.", held),
        (
            "sllm_engine_predicted_memory_bytes",
            "RAM that it may take, predicted before loading.",
            ram,
        ),
        ("sllm_engine_predicted_gpu_memory_bytes", "GPU memory that it may take, predicted.", gpu),
    ):
        family = GaugeMetricFamily(name, text, labels=MODEL)
        for model, figure in figures.items():
            family.add_metric((model,), figure)
        yield family


def _server(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    if snapshot.traffic is not None:
        yield _answered(snapshot.traffic)
    text = "1 while the database can be reached."
    yield GaugeMetricFamily("sllm_database_up", text, snapshot.database_up)
    text = "1 while the owner of the models can be reached."
    yield GaugeMetricFamily("sllm_model_server_up", text, snapshot.models_up)
    text = "How long a task waited for its turn on the event loop just now."
    yield GaugeMetricFamily("sllm_event_loop_lag_seconds", text, snapshot.lag)


def _answered(traffic: Traffic) -> Metric:
    text = "HTTP requests answered, by status; 0: the client left before there was one."
    family = CounterMetricFamily("sllm_http_requests", text, labels=("method", "status"))
    for (method, status), count in traffic.items():
        family.add_metric((method, str(status)), count)
    return family


def _process(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    """Of the API process, or of all, under the names that every Prometheus client uses."""
    own = snapshot.process
    if own is None:
        return
    text = "RAM that the API process holds."
    yield GaugeMetricFamily("process_resident_memory_bytes", text, own.resident_bytes)
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the API process.", own.cpu_seconds
    )
    yield GaugeMetricFamily("process_open_fds", "Files the API process holds open.", own.open_files)
    text = "Unix time of the start of the API process."
    yield GaugeMetricFamily("process_start_time_seconds", text, own.started_at)
