"""What the PyTorch engine does beyond the contract: prefix reuse, rows, devices, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.provider.engine import EngineLimits
from app.provider.engines.pytorch.format import need, read
from app.provider.pool.hardware import resident_bytes
from app.provider.types import Delta, End, Started
from tests.provider.asking import STARTERS, ask, host_of, prompt, size
from tests.provider.numbers import Row, check_engine

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
transformers = pytest.importorskip("transformers", reason="pytorch: transformers is not installed")


from app.provider.engines.pytorch import device, resumable
from app.provider.engines.pytorch.cache import KvCache
from app.provider.engines.pytorch.engine import PytorchEngine
from app.provider.engines.pytorch.resumable import ResumableTask, pause
from app.provider.generation.batch_room import BLOCK
from tests.provider.pytorch_asking import (
    answer_to,
    engine_of,
    run,
    started,
    text_of,
)

QUESTION = "How do I stream an answer?"
LONG = "one two three four five six seven eight nine ten " * 8


@pytest.fixture(scope="module")
def starter() -> PytorchEngine:
    return engine_of(STARTERS["pytorch"])


def test_log_probabilities_are_those_of_the_model(starter: PytorchEngine) -> None:
    model = starter._model.decoder._model

    def reference(tokens: list[int], answer: list[int]) -> Iterator[Row]:
        with torch.inference_mode():
            logits = model(torch.tensor([[*tokens, *answer[:-1]]])).logits
        yield from logits[0, len(tokens) - 1 :].float().numpy()

    check_engine(starter, reference)


# ------------------------------------------------------------------ prefix reuse, the batch


def test_reuse_does_not_change_the_answer(starter: PytorchEngine) -> None:
    system = "You answer questions about this server. " * 8
    fresh = run(starter, prompt(QUESTION, system=system, owner="fresh"))[0]
    again = run(starter, prompt(QUESTION, system=system, owner="fresh"))[0]
    assert started(fresh).cached_tokens == 0
    assert started(again).cached_tokens == started(again).prompt_tokens - 1
    assert text_of(again) == text_of(fresh)


def test_what_runs_shares_its_prefix(starter: PytorchEngine) -> None:
    system = "You answer questions about this server, please. " * 8
    events = run(starter, prompt(QUESTION, system=system), prompt("Hello?", system=system))
    assert started(events[1]).cached_tokens > 64
    assert text_of(events[0]) == text_of(
        run(starter, prompt(QUESTION, system=system, owner="x"))[0]
    )


def test_owners_never_share_while_they_run(starter: PytorchEngine) -> None:
    system = "You answer questions about this server, thank you. " * 8
    asked = [prompt(QUESTION, system=system, owner=owner) for owner in ("one", "other")]
    assert starter.admit(7, starter.prepare(asked[0]))
    while not starter._scheduler._sequences:
        starter.step()
    assert starter.admit(8, starter.prepare(asked[1]))
    events: list[Any] = [event for job, event in starter.step() if job == 8]
    assert started(events).cached_tokens == 0
    starter.drop(7)
    starter.drop(8)


def test_a_long_prompt_is_read_in_pieces_beside_a_running_answer(starter: PytorchEngine) -> None:
    alone = answer_to(starter, prompt(LONG * 6))
    assert starter.admit(7, starter.prepare(prompt(LONG, max_tokens=300, stop=("\0",))))
    events: list[tuple[int, Any]] = []
    while not any(isinstance(event, Delta) for _, event in events):
        events = starter.step()
    assert starter.admit(8, starter.prepare(prompt(LONG * 6, owner="other")))
    steps: list[list[tuple[int, Any]]] = []
    while not any(job == 8 and isinstance(event, End) for job, event in events):
        events = starter.step()
        steps.append(events)
    starter.drop(7)
    text = "".join(e.text for step in steps for job, e in step if job == 8 and isinstance(e, Delta))
    assert text == alone


def test_rows_are_admitted_only_while_their_longest_answers_fit(starter: PytorchEngine) -> None:
    cell = 4 * 2 * (32 + 32) * 4
    engine = engine_of(STARTERS["pytorch"], kv_cache_bytes=4 * BLOCK * cell)
    assert engine.info.context_length == 4 * BLOCK
    for tokens, fitting in ((20, 4), (2 * BLOCK - 20, 2)):
        for job in range(5):
            asked = prompt("a", max_tokens=tokens, stop=("\0",))
            assert engine.admit(job, engine.prepare(asked))
        begun = [job for job, event in engine.step() if isinstance(event, Started)]
        assert begun == list(range(fitting))
        for job in range(5):
            engine.drop(job)


def test_rows_come_and_go_without_touching_others() -> None:
    def rows(*fills: float) -> KvCache:
        cache = KvCache([0] * len(fills))
        for layer in range(2):
            given = torch.tensor(fills)[:, None, None, None].expand(-1, 2, 3, 4) + layer
            cache.update(given, -given, layer)
        cache.advance(3)
        return cache

    joined = rows(1.0, 2.0).join(rows(3.0))
    assert joined.lengths == [3, 3, 3]
    left = joined.keep_rows([0, 2])
    new = torch.full((2, 2, 1, 4), 9.0)
    keys, values = left.update(new, new, 0)
    assert keys.shape == (2, 2, 4, 4)
    assert keys[:, 0, :, 0].tolist() == [[1, 1, 1, 9], [3, 3, 3, 9]]
    assert values[1, 1, :, 0].tolist() == [-3, -3, -3, 9]
    assert left.copy_row(1, 2).update(new[:1], new[:1], 1)[0][0, 0, :, 0].tolist() == [4, 4, 9]


# ------------------------------------------------------------------ devices, types, memory


def test_types_are_those_of_the_files_unless_told() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert device.type_for("F16", cpu) == torch.float32
    assert device.type_for("F16", gpu) == torch.float16
    assert device.type_for("BF16", cpu) == device.type_for("BF16", gpu) == torch.bfloat16
    assert device.type_for("F32", gpu) == device.type_for("I8", gpu) == torch.float32
    assert device.type_for("F32", cpu, "float16") == torch.float16


def test_without_permission_nothing_goes_to_a_gpu() -> None:
    assert device.device_for(0).type == "cpu"


def test_some_layers_go_to_the_gpu_and_the_rest_follows() -> None:
    """Tensors of the device ``meta`` have a place and no numbers: where they are is all we see."""
    layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(3)])
    model = torch.nn.ModuleDict({"embed": torch.nn.Linear(4, 4), "layers": layers})
    device.put(model, list(layers), torch.device("meta"), 2)
    assert [layer.weight.device.type for layer in layers] == ["meta", "meta", "cpu"]
    assert model["embed"].weight.device.type == "cpu"
    assert layers[1](torch.zeros(1, 4)).device.type == "meta"
    assert layers[2](torch.zeros(1, 4)).device.type == "cpu"
    device.put(model, list(layers), torch.device("meta"), -1)
    assert {one.device.type for one in model.parameters()} == {"meta"}


def test_what_a_layer_is_given_moves_with_all_that_is_in_it() -> None:
    mover = device._Mover(torch.device("meta"))
    here = torch.zeros(1)
    (moved,), named = mover(None, (here,), {"pair": (here, 1), "by": {"name": here}, "none": None})
    assert moved.device.type == named["pair"][0].device.type == "meta"
    assert named["by"]["name"].device.type == "meta"
    assert named["none"] is None


def test_a_pausable_computation_stops_where_it_is_told() -> None:
    done: list[int] = []

    def work() -> int:
        for step in range(3):
            done.append(step)
            pause()
        return 7

    computation = ResumableTask(work)
    computation.advance()
    assert (computation.done, done) == (False, [0])
    computation.advance()
    computation.advance()
    assert not computation.done
    computation.advance()
    assert (computation.done, computation.result()) == (True, 7)
    given_up = ResumableTask(work)
    given_up.advance()
    given_up.cancel()
    assert (given_up.done, done) == (True, [0, 1, 2, 0])
    with pytest.raises(resumable._Cancelled):
        given_up.result()
    pause()  # in any other thread it does nothing


@pytest.mark.matrix
async def test_memory_is_what_was_predicted() -> None:
    """At the start, and when all rows and the prefix memory have been full."""
    limits: dict[str, Any] = {"slots": 2, "context_length": 512, "prefix_cache_bytes": 3 * 2**20}
    card = read(STARTERS["pytorch"])
    assert card
    predicted = need(card, EngineLimits(**limits))
    host = host_of("pytorch", **limits)
    await size(host, prompt(QUESTION))
    pid = host.status().pid
    assert pid
    taken = [resident_bytes(pid)]
    for turn in range(4):
        for row in range(2):
            await ask(host, f"{turn} {row} {LONG}"[:900], max_tokens=20)
    taken.append(resident_bytes(pid))
    await host.stop()
    assert taken == pytest.approx([predicted.at_start, predicted.total], rel=0.15)
