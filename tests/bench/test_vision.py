"""Pictures, questions and servers of the workload ``vision``."""

from __future__ import annotations

import base64
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.provider.headers.gguf import read_header
from bench.contestants.client import Client, Reply
from bench.contestants.servers import LLAMA_SERVER, MLX_VLM_SERVER, OURS, available
from bench.contestants.vision_servers import PATH, vision_client, with_vision
from bench.inputs.pictures import held_out, picture, question, showing
from bench.models import qwen2_vl, vision_catalogue
from bench.models.vision_catalogue import KINDS
from bench.plan import FULL, QUICK, Plan, Scale
from bench.report.goals import GOALS
from bench.workloads.gap import gaps
from bench.workloads.vision import _rounds as rounds_of

SIZE = (280, 140)


def plan(scale: Scale) -> Plan:
    nowhere = Path()
    return Plan(scale, available(), 2, nowhere, nowhere, nowhere)


# ---------------------------------------------------------------- what is shown


def test_no_server_has_to_scale_a_picture_and_none_has_seen_it() -> None:
    shown = {picture(seed, SIZE) for seed in ("a", "b", "a again")}
    assert len(shown) == 3
    assert picture("a", SIZE) == picture("a", SIZE)
    for kind in KINDS.values():
        assert not any(length % qwen2_vl.SIDE for length in kind.size)
    assert [KINDS[engine].tokens for engine in ("gguf", "mlx")] == [300, 50]


def test_conversations_share_no_beginning() -> None:
    one, other = (question(seed, b"the same", 4) for seed in ("a", "b"))
    assert one[1]["content"][0] == other[1]["content"][0]
    assert one[0]["content"].split()[0] != other[0]["content"].split()[0]


def test_questions_to_the_starter_are_held_out_and_their_pictures_bounded() -> None:
    cases = held_out(30, scaled=True)
    assert len(cases) == len({str(asked) for asked, _ in cases}) == 30
    sizes = [_size(part) for asked, _ in cases for part in asked[-1]["content"][:-1]]
    assert sizes
    assert all(
        8 <= wide * tall / 28**2 <= 49 and not (wide % 28 or tall % 28) for wide, tall in sizes
    )
    drawn = [
        _size(part) for asked, _ in held_out(30, scaled=False) for part in asked[-1]["content"][:-1]
    ]
    assert len(drawn) == len(sizes)
    assert drawn != sizes


def _size(part: dict[str, dict[str, str]]) -> tuple[int, int]:
    content = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return Image.open(io.BytesIO(content)).size


# ---------------------------------------------------------------- who is asked, and how


def test_ours_is_told_the_next_question_only_and_the_picture_once() -> None:
    client = vision_client(Client(1, available()[OURS].dialect))
    opening = question("a", b"\x89PNG", 4)
    body = client.dialect.body(opening, 7)
    assert client.dialect.path == PATH
    assert body["images"] == [
        {"base64": base64.b64encode(b"\x89PNG").decode(), "mime": "image/png"}
    ]
    assert (body["system"], body["max_tokens"]) == (opening[0]["content"], 7)
    later = [*opening, {"role": "assistant", "content": "x"}, {"role": "user", "content": "next"}]
    body = client.dialect.body(later, 7)
    assert (body["message"], body["images"]) == ("next", [])


def test_the_others_are_shown_the_whole_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_SERVER", "/there/llama-server")
    monkeypatch.setenv("MLX_VLM_PYTHON", "/there/python")
    servers, model = available(), Path("/models/m.gguf")
    llama = with_vision(servers[LLAMA_SERVER], model)
    command = llama.command(model, 1, 2)
    assert command[command.index("--mmproj") + 1] == "/models/mmproj-m.gguf"
    assert "--image-max-tokens" not in command
    small = with_vision(servers[LLAMA_SERVER], model, starter=True).command(model, 1, 2)
    assert small[-2:] == ["--image-max-tokens", "49"]
    mlx = with_vision(servers[MLX_VLM_SERVER], model)
    assert mlx.command(model, 1, 2)[:3] == ["/there/python", "-m", "mlx_vlm.server"]
    asked = showing("what?", b"1", b"2")
    for server in (llama, mlx):
        client = Client(1, server.dialect)
        assert vision_client(client) is client
        assert client.dialect.body(asked, 3)["messages"] == asked
    assert mlx.dialect.body(asked, 3)["model"] == str(model)
    own = with_vision(servers[OURS], model).env(model, 1, 2)
    assert own["VISION_MODEL_PATH"] == own["SLLM_MODEL_PATH"] == str(model)


def test_a_slow_library_is_shown_fewer_pictures() -> None:
    full, quick = plan(FULL), plan(QUICK)
    assert rounds_of(KINDS["gguf"], full) == [0, 0, 1, 1, 2, 2]
    assert rounds_of(KINDS["mlx"], full) == [0]
    assert rounds_of(KINDS["gguf"], quick) == rounds_of(KINDS["mlx"], quick) == [0]


def test_what_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.startswith("mlx") else there(name)
    )
    monkeypatch.delenv("MLX_VLM_PYTHON", raising=False)
    assert MLX_VLM_SERVER not in available()
    assert vision_catalogue.shape("mlx", tmp_path) is vision_catalogue.starter("mlx") is None
    assert [one for one in vision_catalogue.missing() if "mlx_vlm is not installed" in one]
    monkeypatch.setattr(vision_catalogue, "ROOT", tmp_path)
    assert vision_catalogue.starter("gguf") is None
    assert [one for one in vision_catalogue.missing() if "no starter-vision.gguf" in one]


# ---------------------------------------------------------------- what is measured


def test_the_worst_gap_is_that_of_the_time_the_picture_took() -> None:
    times = (0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 20.0)
    stream = Reply(0.0, 20.0, times, "", 7, None)
    reply = Reply(3.5, 9.0, (8.5,), "", 1, None)
    assert gaps(stream, reply) == (1.0, 5.0)


def test_every_engine_has_its_targets() -> None:
    aims = {(goal.figure, goal.relation, goal.limit, goal.peer) for goal in GOALS}
    assert ("vision.gguf.ratio", "≤", 0.2, None) in aims
    assert ("vision.gguf.first", "≤", 1.0, LLAMA_SERVER) in aims
    assert ("vision.mlx.again", "≤", 1.0, MLX_VLM_SERVER) in aims
    assert {("vision.gguf.right", "≥", 95.0, None), ("vision.mlx.right", "≥", 95.0, None)} <= aims


def test_the_generated_mmproj_belongs_to_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen2_vl, "DEPTH", 1)
    path = tmp_path / "m.gguf"
    qwen2_vl._write_mmproj(qwen2_vl.mmproj_of(path))
    header = read_header(qwen2_vl.mmproj_of(path))
    assert header
    assert header.metadata["clip.vision.n_wa_pattern"] == 4
    assert header.metadata["clip.vision.projection_dim"] == 896
    assert not [name for name, _ in qwen2_vl.tensors() if ".2." in name and "mm" not in name]
    assert replace(KINDS["gguf"], size=(28, 56)).tokens == 2
