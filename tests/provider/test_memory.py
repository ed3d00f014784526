"""Where a model goes and who has to leave: pure functions, in tables of cases."""

from __future__ import annotations

import pytest

from app.provider.memory import GpuPolicy, Need, place
from app.provider.pool.eviction import AdmissionDecision, Budget, MemoryClaim, admit

MODEL = Need(runtime=10, weights=800, kv=160, compute=40, prefix_cache=100, layers=24)
"""Each layer takes 40 bytes of weights, keys and values."""


@pytest.mark.parametrize(
    ("policy", "layers", "on_gpu"),
    [
        pytest.param(None, 0, 0, id="no GPU is to be used"),
        pytest.param(GpuPolicy(available=0), 0, 0, id="there is no GPU memory"),
        pytest.param(GpuPolicy(available=39), 0, 0, id="not even the scratch memory fits"),
        pytest.param(GpuPolicy(available=79), 0, 0, id="just too little for a layer"),
        pytest.param(GpuPolicy(available=80), 1, 80, id="one layer"),
        pytest.param(GpuPolicy(available=520), 12, 520, id="half of it"),
        pytest.param(GpuPolicy(available=999), 23, 960, id="all but one layer"),
        pytest.param(GpuPolicy(available=1000), 24, 1000, id="just enough for all"),
        pytest.param(GpuPolicy(available=10**6), 24, 1000, id="plenty"),
        pytest.param(GpuPolicy(10**6, threshold=801), 24, 1000, id="below the threshold"),
        pytest.param(GpuPolicy(10**6, threshold=800), 24, 1000, id="at the threshold"),
        pytest.param(GpuPolicy(10**6, threshold=520), 12, 520, id="above the threshold: split"),
        pytest.param(GpuPolicy(300, threshold=520), 6, 280, id="split, and little memory"),
        pytest.param(GpuPolicy(10**6, layers=0), 0, 0, id="the user wants none"),
        pytest.param(GpuPolicy(0, layers=7), 7, 320, id="the user wants seven"),
        pytest.param(GpuPolicy(999, split=False), 0, 0, id="all or nothing: it does not fit"),
        pytest.param(GpuPolicy(1000, split=False), 24, 1000, id="all or nothing: it fits"),
        pytest.param(
            GpuPolicy(1000, 520, split=False), 24, 1000, id="all or nothing, whatever the threshold"
        ),
        pytest.param(GpuPolicy(0, layers=7, split=False), 7, 320, id="the user wants seven"),
        pytest.param(GpuPolicy(0, layers=99), 24, 1000, id="the user wants more than there are"),
    ],
)
def test_placement(policy: GpuPolicy | None, layers: int, on_gpu: int) -> None:
    placement = place(MODEL, policy)
    assert (placement.gpu_layers, placement.gpu_bytes) == (layers, on_gpu)
    assert placement.gpu_bytes + placement.ram_bytes == MODEL.total == 1110
    assert placement.layers == 24


def test_a_model_that_cannot_be_divided_stays_in_ram() -> None:
    whole = Need(runtime=10, weights=800, kv=160)
    assert place(whole, GpuPolicy(available=10**6)).ram_bytes == 970


def chat(name: str, ram: int, *, idle: bool = True, gpu: int = 0) -> MemoryClaim:
    return MemoryClaim(name, "chat", ram, gpu, idle)


def vision(name: str, ram: int, *, idle: bool = True) -> MemoryClaim:
    return MemoryClaim(name, "vision-chat", ram, 0, idle)


WANTED = chat("new", 40, gpu=4)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param([], AdmissionDecision(), id="nobody is there"),
        pytest.param([chat("a", 60)], AdmissionDecision(), id="both fit"),
        pytest.param([chat("a", 61)], AdmissionDecision(("a",)), id="the other is idle"),
        pytest.param(
            [chat("a", 61, idle=False)], AdmissionDecision(wait=True), id="the other is in use"
        ),
        pytest.param(
            [chat("a", 10), chat("b", 10)],
            AdmissionDecision(("a",)),
            id="two of a kind: the oldest leaves",
        ),
        pytest.param(
            [chat("a", 10, idle=False), chat("b", 10)],
            AdmissionDecision(("b",)),
            id="in use never leaves",
        ),
        pytest.param(
            [chat("a", 10, idle=False), chat("b", 10, idle=False)],
            AdmissionDecision(wait=True),
            id="two of a kind in use",
        ),
        pytest.param(
            [vision("v", 20), chat("a", 10), chat("b", 10)],
            AdmissionDecision(("a",)),
            id="another kind stays while bytes suffice",
        ),
        pytest.param(
            [vision("v", 70), chat("a", 20)], AdmissionDecision(("v",)), id="bytes: any kind leaves"
        ),
        pytest.param(
            [chat("small", 5), vision("v", 70)],
            AdmissionDecision(("v",)),
            id="who does not matter is spared",
        ),
        pytest.param(
            [vision("u", 30), vision("v", 60)],
            AdmissionDecision(("u",)),
            id="no more leave than needed",
        ),
        pytest.param([chat("a", 10, gpu=9)], AdmissionDecision(("a",)), id="GPU memory is short"),
        pytest.param(
            [vision("u", 50, idle=False), vision("v", 40)],
            AdmissionDecision(("v",)),
            id="what is left suffices",
        ),
    ],
)
def test_who_leaves(claims: list[MemoryClaim], expected: AdmissionDecision) -> None:
    assert admit(WANTED, claims, Budget(ram=100, gpu=10, per_kind=2)) == expected


def test_what_can_never_fit_says_so() -> None:
    decision = admit(chat("new", 200 * 2**20), [], Budget(ram=100 * 2**20))
    assert "It needs 200 MB of RAM, but models may take 100 MB" in str(decision.impossible)
    decision = admit(chat("new", 1, gpu=2), [], Budget(ram=100, gpu=1))
    assert "GPU memory" in str(decision.impossible)
