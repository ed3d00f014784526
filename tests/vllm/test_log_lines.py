"""Why vLLM ended, taken from what it wrote."""

from __future__ import annotations

import pytest

from app.provider.engines.vllm.log_lines import LogLines

CORE = "(EngineCore_DP0 pid=812) ERROR 11-30 01:02:03 [core.py:700] "
LAST = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
)
NO_MEMORY = (
    "Free memory on device (3.2/79.1 GiB) on startup is less than desired GPU memory utilization"
)
TOO_NEW = (
    "The checkpoint you are trying to load has model type `x` but Transformers does not know it"
)


def reason(*lines: str) -> str:
    found = LogLines()
    found.read(lines)
    return found.reason()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((CORE + "Traceback (most recent call last):", CORE + f"ValueError: {NO_MEMORY}", LAST),
         NO_MEMORY),
        ((CORE + "torch.OutOfMemoryError: CUDA out of memory.", LAST, ""), "CUDA out of memory."),
        (("pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
          f"  Value error, {TOO_NEW} [type=value_error, input_value=...]",
          "    For further information visit the documentation"), TOO_NEW),
        (("usage: vllm serve", "vllm serve: error: unrecognized arguments: --nonsense"),
         "unrecognized arguments: --nonsense"),
        (("(APIServer pid=1) INFO 11-30 01:02:03 [api_server.py:1] starting", "Killed"), "Killed"),
        (("Killed", "(APIServer pid=1) INFO:     Application startup complete."), "Killed"),
        ((), ""),
    ],
)  # fmt: skip
def test_the_cause_is_found(lines: tuple[str, ...], expected: str) -> None:
    assert reason(*lines) == expected


@pytest.mark.parametrize(("line", "lasting"), [(NO_MEMORY, False), (TOO_NEW, True)])
def test_a_cause_outside_the_files_is_not_remembered(line: str, lasting: bool) -> None:
    found = LogLines()
    found.read([f"ValueError: {line}"])
    assert found.failure(1).lasting is lasting


def test_loading_is_told_in_percent() -> None:
    found = LogLines()
    found.read(["Loading safetensors checkpoint shards:  25% Completed | 1/4", "at 90% of that"])
    assert found.percent == 25
    assert found.failure(9).lasting is False
