"""What the README files show is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.config.other_names import OTHER_NAMES
from app.provider.formats.output_formats import OUTPUT_FORMATS
from app.provider.hub.recommended import RECOMMENDED
from tests.conftest import serving
from tests.docs.pages import READMES, ROOT, blocks

SHOWN = ("README.md", "README.ko.md", "docs/vision.md")
"""What is run; the commands of the Chinese page are those of the English one."""
SHELL, PYTHON = (
    [one for page in SHOWN for one in blocks(page, kind)] for kind in ("bash", "python")
)


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serving(models_dir=ROOT / "models") as client:
        yield client


def run(command: list[str], timeout: float = 60, **options: Any) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    output: str = done.stdout
    return output


@pytest.mark.parametrize("block", SHELL)
def test_curl_examples(block: str, server: httpx.Client) -> None:
    output = run(["bash", "-c", block.replace("http://127.0.0.1:8000", str(server.base_url))])
    assert '"finish_reason":"stop"' in output.replace('": "', '":"')


@pytest.mark.parametrize(
    ("page", "wanted"),
    [("docs/clients.md", '"finish_reason":"stop"'), ("docs/encoders.md", '"relevance_score":')],
)
def test_the_only_example_of_a_page(page: str, wanted: str, server: httpx.Client) -> None:
    (block,) = blocks(page, "bash")
    output = run(["bash", "-c", block.replace("http://127.0.0.1:8000", str(server.base_url))])
    assert wanted in output


@pytest.mark.parametrize("block", PYTHON)
def test_python_examples(block: str, server: httpx.Client) -> None:
    output = run(
        [sys.executable, "-c", block.replace("http://127.0.0.1:8000", str(server.base_url))]
    )
    assert len(output.strip()) > 10


def test_there_are_examples_in_both_languages() -> None:
    assert len(SHELL) == 10
    assert len(PYTHON) == 5


def test_the_table_of_settings_is_complete_and_its_defaults_are_true() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? ?\|", (ROOT / "README.md").read_text(), re.M
    )
    shown = dict(rows)
    fields = Settings.model_fields
    assert set(shown) == {name.upper() for name in fields}
    for name, default in shown.items():
        value = fields[name.lower()].default
        assert default == _shown(value), name


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        ",".join(map(str, value))
        if isinstance(value, tuple)
        else ""
        if value is None or value == {}
        else str(value)
    )


@pytest.mark.parametrize("name", READMES)
def test_the_list_of_models_is_that_of_pull(name: str) -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| .*? \| ([\d.]+) GB \| (.*?) \|", (ROOT / name).read_text(), re.M
    )
    expected = [(one.name, f"{one.size / 1e9:.1f}", one.licence) for one in RECOMMENDED]
    assert rows == expected


@pytest.mark.parametrize(
    "name",
    [
        *READMES,
        "docs/anthropic.md",
        "docs/architecture.md",
        "docs/clients.md",
        "docs/clients.ko.md",
        "docs/conversations.md",
        "docs/open-webui.md",
        "docs/open-webui.ko.md",
        "docs/encoders.md",
        "docs/vision.md",
        "docs/hyperclovax.md",
        "docs/settings.md",
        "docs/tools.md",
        "CONTRIBUTING.md",
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert all((page.parent / link).exists() for link in links), links


def test_the_architecture_names_every_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.replace("{echo,gguf,onnx,mlx,pytorch}", "")
    for path in sorted((ROOT / "app").rglob("__init__.py")):
        folder = path.parent.relative_to(ROOT).as_posix()
        if not re.match(r"app/v[1-6]|app/(openai|anthropic)/|app/provider/engines/|app$", folder):
            assert f"`{folder}`" in table, folder


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/adding-an-engine.md"])
def test_paths_of_the_code_lead_somewhere(name: str) -> None:
    """Those that documents name in backticks; an engine that is only an example is none."""
    text = re.sub(r"^```.*?^```", "", (ROOT / name).read_text(), flags=re.DOTALL | re.MULTILINE)
    paths = re.findall(r"`(app/[\w/]+(?:\.py)?)`", text)
    assert len(paths) > 3
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_name_of_other_projects_is_explained() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for other in OTHER_NAMES:
        row = rf"^\| `{other.name}` \|.*`{other.setting.upper()}`"
        assert re.search(row, page, re.M), other


def test_every_format_of_tool_calls_is_explained() -> None:
    table = (ROOT / "docs" / "tools.md").read_text()
    assert [one.name for one in OUTPUT_FORMATS if f"`{one.name}`" not in table] == []
