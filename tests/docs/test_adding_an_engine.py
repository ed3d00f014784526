"""The engine that docs/adding-an-engine.md builds is taken out of the page and really runs."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from app.provider.catalogue.engine_choice import Suitability, engine_for
from app.provider.engine import (
    ENGINES,
    EngineLimits,
    Library,
    environment,
    format_of,
    unwanted_libraries,
)
from app.provider.errors import ModelNotLoadable
from app.provider.generation.template_report import template_report
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.runtime.host import EngineHost
from tests.conftest import serving
from tests.docs.test_readme import run
from tests.http.events import parsed
from tests.provider import test_contract as contract
from tests.provider.asking import ask, host_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-an-engine.md").read_text(encoding="utf-8")
FOLDER = "app/provider/engines/markov"
NAME = FOLDER.replace("/", ".")


def blocks() -> dict[str, str]:
    """What stands in the page, by the word after its language: a path, or ``line``."""
    found = re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from, with the page's package in it as ``markov``."""
    folder = tmp_path_factory.mktemp("page")
    for name, code in blocks().items():
        if name.startswith(FOLDER):
            file = folder / "markov" / Path(name).name
            file.parent.mkdir(exist_ok=True)
            file.write_text(code.replace(NAME, "markov"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the page's text in it."""
    folder = tmp_path_factory.mktemp("models")
    (text,) = [name for name in blocks() if name.startswith("models/")]
    (folder / Path(text).name).write_text(blocks()[text], encoding="utf-8")
    return folder


@pytest.fixture(scope="module", autouse=True)
def registered(package: Path) -> Iterator[None]:
    """The one line in ENGINES, here and in the engine processes."""
    ((engine, where),) = re.findall(r'"(\w+)": "([\w.]+)",', blocks()["line"])
    assert where == NAME
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(package)
        patch.setenv("PYTHONPATH", str(package))
        patch.setitem(ENGINES, engine, where.replace(NAME, "markov"))
        yield
    for module in [name for name in sys.modules if name.partition(".")[0] == "markov"]:
        del sys.modules[module]


@pytest.fixture
async def host(models: Path) -> AsyncIterator[EngineHost]:
    host = host_of("markov", path=models / "tales.markov.txt")
    yield host
    await host.stop()


Check = Callable[[EngineHost], Awaitable[None]]

CONTRACT = [
    pytest.param(check, id=name.removeprefix("test_"))
    for name, check in vars(contract).items()
    if name.startswith("test_")
    and list(inspect.signature(check).parameters) == ["host"]
    and contract.on_models.mark not in getattr(check, "pytestmark", [])
]
"""What engines of every kind keep, not what those do that draw tokens with a model."""


@pytest.mark.parametrize("check", CONTRACT)
async def test_it_keeps_the_contract(check: Check, host: EngineHost) -> None:
    await check(host)


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_max_tokens_is_exact(host: EngineHost, limit: int) -> None:
    await contract.test_max_tokens_is_exact(host, limit)


async def test_it_says_only_pairs_of_words_that_it_has_read(host: EngineHost, models: Path) -> None:
    text = (models / "tales.markov.txt").read_text(encoding="utf-8")
    drawn = [await ask(host, "Of the dog", temperature=1.0, seed=seed) for seed in range(8)]
    assert len({reply.text for reply in drawn}) > 1
    for reply in drawn:
        words = ["dog", *reply.text.split()]
        assert all(f"{one} {following}" in text for one, following in pairwise(words))
    again = await ask(host, "Of the dog", temperature=1.0, seed=3)
    assert again.text == drawn[3].text


def test_the_catalogue_finds_its_models(models: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing.markov.txt").touch()
    (tmp_path / "notes.txt").write_text("no model")
    for folder, problem in ((models, None), (tmp_path, "The file is empty.")):
        (card,) = ModelPool(PoolConfig(folder)).cards()
        assert (card.format, card.engine, card.problem) == ("markov", "markov", problem)
        assert format_of("markov").need(card, EngineLimits()).total > 0


@pytest.mark.parametrize("content", [b"\xff\xfe", b" \n \n"])
async def test_a_bad_text_is_refused_with_the_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.markov.txt"
    path.write_bytes(content)
    host = host_of("markov", path=path)
    with pytest.raises(ModelNotLoadable, match="The text"):
        await ask(host, "hi")
    await host.stop()


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=models, enable_echo=False) as client:
        yield client


def test_it_answers_over_http(server: httpx.Client) -> None:
    body = {"model": "tales", "message": "Of the dog", "temperature": 0, "max_tokens": 6}
    answer = server.post("/api/v1/chat", json=body).json()
    assert answer["usage"]["completion_tokens"] == 6
    assert answer["finish_reason"] == "length"
    events = parsed(server.post("/api/v4/chat/stream", json=body).text)
    text = "".join(event.data["text"] for event in events if event.name == "delta")
    assert text == answer["message"]["content"]
    assert server.get("/health").json()["models"]["tales"]["state"] == "ready"


def test_the_command_of_the_page_works(server: httpx.Client) -> None:
    (command,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    output = run(["bash", "-c", command.replace("http://127.0.0.1:8000", str(server.base_url))])
    assert '"content":"' in output


def test_frozen_lists_leave_out_a_format_they_do_not_name(server: httpx.Client) -> None:
    assert server.get("/api/v4/models").json() == {"models": []}
    (model,) = server.get("/api/v5/models").json()["models"]
    assert (model["id"], model["format"]) == ("tales", "markov")


def test_a_missing_library_is_named_with_its_command(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {"no_such_library": Library("Chains", "./run.sh install chains")}
    monkeypatch.setattr(format_of("markov"), "LIBRARIES", needed)
    (card,) = ModelPool(PoolConfig(models)).cards()
    assert card.problem == ("It needs Chains, which is not installed: run ./run.sh install chains.")


def test_what_the_package_says_reaches_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("markov")
    monkeypatch.setattr(package, "ENVIRONMENT", {"CHAIN": "short"}, raising=False)
    monkeypatch.setattr(package, "UNWANTED_LIBRARIES", ("torch",), raising=False)
    assert environment("markov") == {"CHAIN": "short"}
    assert unwanted_libraries("markov") == ("torch",)


def test_an_engine_without_templates_has_no_report_on_them(models: Path) -> None:
    (card,) = ModelPool(PoolConfig(models)).cards()
    assert template_report(card) == ""


def test_it_takes_part_in_the_choice_of_an_engine_for_a_folder(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a module ``hf_folders`` in its own package, and nothing else."""
    module = ModuleType("markov.hf_folders")
    module.__spec__ = ModuleSpec("markov.hf_folders", None)
    vars(module)["suitability"] = lambda architecture, *, by_mlx: (
        Suitability.ONLY if architecture == "chain" else Suitability.NONE
    )
    monkeypatch.setitem(sys.modules, "markov.hf_folders", module)
    assert engine_for("chain", by_mlx=False).engine == "markov"
    assert engine_for("llama", by_mlx=True).engine == "mlx"


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "markov"])
def test_no_module_outside_its_folder_names_a_library_of_an_engine(engine: str) -> None:
    """Only the converters do: what makes a format is a library of its own."""
    formats = {*ENGINES, "safetensors"}
    libraries = format_of(engine).LIBRARIES.keys() - formats
    naming = {path for path, text in constants_outside() if text in libraries}
    assert naming <= {"app/provider/conversion/convert.py"}


@cache
def constants_outside() -> set[tuple[str, str]]:
    """Paths and texts of all constants of ``app``, except those of the engines."""
    own = ROOT / "app" / "provider" / "engines"
    return {
        (path.relative_to(ROOT).as_posix(), node.value)
        for path in (ROOT / "app").rglob("*.py")
        if own not in path.parents
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def checked(*command: str, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_is_written_as_the_project_is(tmp_path: Path) -> None:
    """In a tree like this one: ruff looks at what lies beside a module to sort its imports."""
    for folder in ("app/provider", "app/provider/engines"):
        (tmp_path / folder).mkdir(parents=True)
        for one in (ROOT / folder).iterdir():
            if one.name != "engines":
                (tmp_path / folder / one.name).symlink_to(one)
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    for name, code in blocks().items():
        if name.startswith(FOLDER):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(code, encoding="utf-8")
    checked("ruff", "check", FOLDER, cwd=tmp_path)
    checked("ruff", "format", "--check", FOLDER, cwd=tmp_path)


def test_its_types_are_right(package: Path) -> None:
    checked("mypy", str(package / "markov"), cwd=ROOT, MYPYPATH=str(package))
