from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from tests.provider.scripted import CHATML, CONTROL, make

runner = CliRunner()


def test_models_are_listed_with_their_facts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("ENABLE_ECHO", "true")
    titles, echo, vision, *_ = runner.invoke(app, ["models"]).output.splitlines()
    assert titles.split() == ["MODEL", "FORMAT", "SIZE", "CONTEXT", "ARCHITECTURE", "STATE"]
    assert echo.split() == ["echo", "echo", "0", "MB", "4,096", "ok"]
    assert vision.split()[0] == "echo-vision"


def test_a_model_is_described_with_what_its_template_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    make(tmp_path / "stranger.gguf", refuses + CHATML, control=CONTROL)
    make(tmp_path / "broken.gguf", "{% for", control=CONTROL)
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    described = runner.invoke(app, ["models", "stranger"]).output
    assert "gguf, run by the engine gguf" in described
    assert "Chat template  It has no system role" in described
    assert "cannot be used" in runner.invoke(app, ["models", "broken"]).output
    assert runner.invoke(app, ["models", "nobody"]).exit_code == 1


def test_a_preset_is_listed_and_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    declared = '{"model": "echo", "template": "default", "description": "Is kind.", '
    declared += '"context_length": 100, "ttl_seconds": -1}'
    (tmp_path / "kind.preset.json").write_text(declared)
    (tmp_path / "lost.preset.json").write_text('{"model": "nothing"}')
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("ENABLE_ECHO", "true")
    *_, kind, lost = runner.invoke(app, ["models"]).output.splitlines()
    assert kind.split() == ["kind", "echo", "0", "MB", "100", "ok"]
    assert lost.endswith("Its model 'nothing' is not here.")
    described = runner.invoke(app, ["models", "kind"]).output
    assert re.search(r"^Preset of +echo$", described, re.M)
    assert re.search(r"^Purpose +Is kind\.$", described, re.M)
    assert re.search(r"^Template +default$", described, re.M)
    assert re.search(r"^Stays loaded +for ever$", described, re.M)
    assert re.search(r"^Path +.*kind\.preset\.json$", described, re.M)
    assert "not here" in runner.invoke(app, ["models", "lost"]).output


def test_no_models_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    assert f"No model in {tmp_path}" in runner.invoke(app, ["models"]).output


def test_pull_without_a_name_recommends_with_size_and_licence() -> None:
    shown = runner.invoke(app, ["pull"]).output
    assert re.search(r"^qwen2\.5-0\.5b +676 MB +Apache-2\.0 ", shown, re.M)
    assert "HyperCLOVA X SEED Model License" in shown


def test_unknown_recommendation() -> None:
    result = runner.invoke(app, ["pull", "no-such-model"])
    assert result.exit_code == 1
    assert "There is no recommended model 'no-such-model'" in result.stderr


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    heavy = {"fastapi", "uvicorn", "huggingface_hub", "llama_cpp"}
    program = f"import sys, app.cli.commands; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
