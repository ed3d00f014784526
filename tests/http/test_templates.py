"""The files in ``prompts/``: the ones that come with the server, broken ones and hostile ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.templates.library import BrokenTemplate, load, read
from app.v3.models.examples import TEMPLATE_EXAMPLES
from app.v3.models.template import LONGEST_SOURCE, Localised, Template
from app.v3.services.templates import parsed_template
from tests.conftest import serving
from tests.http.events import parsed

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "prompts"
NAMES = ["code_assistant", "creative_writer", "default", "sql_assistant", "therapy_assistant"]

built_in = pytest.mark.parametrize("name", NAMES)


def lines(*changed: tuple[int, str]) -> str:
    """A good template, with these lines (counted from 1) replaced."""
    good = [
        "{",
        '  "name": "x",',
        '  "description": "A template.",',
        '  "system": "Speak {{ language }}.",',
        '  "user": "Now: {{ message }}",',
        '  "variables": {',
        '    "language": {',
        '      "type": "string",',
        '      "required": true',
        "    }",
        "  },",
        '  "sampling": {"temperature": 0.5},',
        '  "example": {"message": "hi", "variables": {"language": "Go"}}',
        "}",
    ]
    for number, line in changed:
        good[number - 1] = line
    return "\n".join(good) + "\n"


def broken(folder: Path, text: str) -> str:
    """What is said of a file ``x.json`` that holds this text."""
    path = folder / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenTemplate) as error:
        load(folder, parsed_template)
    message = str(error.value)
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return message.removeprefix(str(path)).removeprefix(": ").removeprefix(", ")


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(lines(), encoding="utf-8")
    assert [template.name for template in load(tmp_path, parsed_template).all()] == ["x"]


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (4, '  "system": "Speak"', "line 5: Expecting ',' delimiter."),
        (4, '  "system": "Speak\n",', "line 4: Invalid control character at."),
        (3, '  "description": "A.", "colour": 1,', "/colour: Extra inputs are not"),
        (9, '      "required": true, "hidden": 1', "/variables/language/hidden: Extra"),
        (12, '  "sampling": {"heat": 1},', "/sampling/heat: Extra inputs are not"),
        (2, '  "name": 5,', "/name: Input should be a valid string."),
        (2, '  "name": "X Y",', "/name: String should match pattern"),
        (2, '  "name": "y",', "/name: 'y' is not what the file is called: 'x'."),
        (3, '  "description": {"en": "A."},', "/description/ko: Field required."),
        (3, '  "description": {"en": "A", "ko": 1},', "/description/ko: Input should be a"),
        (3, '  "title": "No description",', "/description: Field required."),
        (8, '      "type": "text",', "/variables/language/type: Input should be 'string',"),
        (9, '      "required": "yes"', "/variables/language/required: Input should be a"),
        (9, '      "required": true, "default": "Go"', "/variables/language/default: a req"),
        (9, '      "default": 5', "/variables/language/default: the default is not a str"),
        (9, '      "default": []', "/variables/language/default: must be a string, a num"),
        (7, '    "my language": {', "/variables/my language/[key]: 'my language' cannot be"),
        (7, '    "message": {', "/variables/message/[key]: 'message' cannot be a variable"),
        (7, '    "class": {', "/variables/class/[key]: 'class' cannot be a variable"),
        (
            10,
            '    }, "language": {"type": "string"}',
            "/variables/language: this key stands twice in one",
        ),
        (
            4,
            '  "system": "Speak {{ tongue }} {{ pace }}.",',
            "/system: The text of system u",
        ),
        (4, '  "system": "{{ message }}",', "/system: The text of system uses message, w"),
        (4, '  "system": "{% if language %}",', "/system: The text of system is broken: Un"),
        (
            4,
            '  "system": "{{ language | f }}",',
            "/system: The text of system is broken: th",
        ),
        (
            4,
            '  "system": "{% include language %}",',
            "/system: The text of system is broken",
        ),
        (4, '  "system": "",', "/system: Value should have at least 1 "),
        (5, '  "user": "Now",', "/user: The text of user must use {{ message }}."),
        (5, '  "user": "{{ message }} {{",', "/user: The text of user is broken: "),
        (12, '  "sampling": {"temperature": 9},', "/sampling/temperature: Input should be"),
        (13, '  "example": {"message": "hi"}', "/example/variables/language: x needs the"),
        (13, '  "example": {"variables": {}}', "/example/message: Field required."),
    ],
)
def test_a_broken_file_is_named_with_the_pointer_to_the_mistake(
    tmp_path: Path, line: int, text: str, expected: str
) -> None:
    assert broken(tmp_path, lines((line, text))).startswith(expected)


def test_the_pointer_leads_to_the_value_not_to_its_list(tmp_path: Path) -> None:
    text = lines((12, '  "sampling": {\n    "stop": [\n      "a",\n      5\n    ]\n  },'))
    assert broken(tmp_path, text).startswith("/sampling/stop/1: Input should be a valid")


def test_every_undeclared_name_is_told(tmp_path: Path) -> None:
    message = broken(tmp_path, lines((4, '  "system": "{{ b }} {{ a }} {{ language }}",')))
    assert "uses a, b, which variables does not declare." in message


def test_a_source_has_a_longest_length(tmp_path: Path) -> None:
    good = lines((4, f'  "system": "{"x" * LONGEST_SOURCE}",'))
    (tmp_path / "x.json").write_text(good, encoding="utf-8")
    assert load(tmp_path, parsed_template).all()
    message = broken(tmp_path, lines((4, f'  "system": "{"x" * (LONGEST_SOURCE + 1)}",')))
    assert message.startswith("/system: Value should have at most 32768 ")


def test_a_file_that_is_not_text_or_not_an_object(tmp_path: Path) -> None:
    assert broken(tmp_path, "[]").startswith("Input should be")
    assert broken(tmp_path, "").startswith("line 1: Expecting value.")
    assert "nested too deeply" in broken(tmp_path, "[" * 100_000)
    (tmp_path / "x.json").write_bytes(b'{\n"name": "\xff"}')
    with pytest.raises(BrokenTemplate, match=r"x\.json, line 2: this is not UTF-8\."):
        load(tmp_path, parsed_template)


def test_a_folder_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BrokenTemplate, match="there is no such folder"):
        load(tmp_path / "nowhere", parsed_template)


def start(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the real command and wait for its end, with nothing else in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "serve"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": "0"} | settings,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_server_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "x.json").write_text(lines((8, '      "type": "text",')), encoding="utf-8")
    done = start(tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("prompts/x.json: /variables/language/type: Input should be")


def test_the_server_does_not_start_without_a_folder_that_was_asked_for(tmp_path: Path) -> None:
    done = start(tmp_path, PROMPTS_DIR="elsewhere")
    assert done.returncode == 1
    assert done.stderr == "PROMPTS_DIR=elsewhere: there is no such folder.\n"


def test_the_server_starts_without_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(models_dir=tmp_path) as client:
        assert client.get("/api/v3/prompt/templates").json() == {"templates": []}


def test_the_built_ins_are_there() -> None:
    assert [template.name for template in load(PROMPTS, parsed_template).all()] == NAMES


def wire(name: str) -> Template:
    """A built-in as clients get it."""
    return Template.model_validate(read(PROMPTS / f"{name}.json", parsed_template).template.body)


@built_in
def test_a_built_in_speaks_both_languages(name: str) -> None:
    template = wire(name)
    labels = [template.title, template.description]
    labels += [variable.description for variable in template.variables.values()]
    for label in labels:
        assert isinstance(label, Localised)
        assert label.en.isascii()
        assert any("가" <= character <= "힣" for character in label.ko)


@built_in
def test_a_built_in_needs_nothing_and_can_be_told_something(name: str) -> None:
    template = read(PROMPTS / f"{name}.json", parsed_template).template
    assert template.variables
    assert not any(variable.required for variable in template.variables.values())


@built_in
def test_every_variable_of_a_built_in_changes_what_it_says(name: str) -> None:
    compiled = read(PROMPTS / f"{name}.json", parsed_template)

    def text(**given: Any) -> str:
        values = {each: variable.default or "" for each, variable in variables.items()} | given
        return compiled.render_system(values) + compiled.render_user(values, "hi")

    variables = compiled.template.variables
    for each, variable in variables.items():
        assert text() != text(**{each: not variable.default})


@built_in
def test_the_documentation_shows_the_example_of_the_file(name: str) -> None:
    example = wire(name).example
    assert example
    shown = TEMPLATE_EXAMPLES[name]["value"]
    assert shown["template"] == name
    assert (shown["message"], shown["variables"]) == (example.message, example.variables)


def test_the_wire_form_of_a_built_in_can_be_read_again() -> None:
    for template in load(PROMPTS, parsed_template).all():
        assert parsed_template(template.body) == template
        assert template.body == json.loads((PROMPTS / f"{template.name}.json").read_text())


@pytest.fixture(scope="module")
def starter() -> Iterator[httpx.Client]:
    with serving(models_dir=ROOT / "models") as client:
        yield client


@built_in
@pytest.mark.parametrize("model", ["starter", "echo"])
def test_the_example_of_a_built_in_works(starter: httpx.Client, name: str, model: str) -> None:
    example = starter.get(f"/api/v3/prompt/templates/{name}").json()["example"]
    for body in (example, {"message": "Hello!"}):
        asked = {"template": name, "model": model, "max_tokens": 8, **body}
        answer = starter.post("/api/v3/chat", json=asked)
        assert answer.status_code == 200, answer.text
        assert answer.json()["message"]["content"]
        events = parsed(starter.post("/api/v3/chat/stream", json=asked).text)
        assert events[-1].name == "done"


HOSTILE = {
    "attributes": "{{ text.__class__.__mro__[1].__subclasses__() }}",
    "undefined": "{{ text.nothing }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "giant": "{% for a in range(99999) %}{{ text * 4000 }}{% endfor %}",
    "wide": "{{ '{:{w}}'.format(1, w=999999999) }}",
    "doubled": "{% set n = namespace(x='x') %}"
    "{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "surrogate": "{{ '\\ud800' }}",
    "nul": "{{ '\\0' }}",
    "zero": "{{ 1 / 0 }}",
    "key": "{{ {}['\\ud800'] }}",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, empty_models: Path) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prompts")
    for name, source in HOSTILE.items():
        template = {
            "name": name,
            "description": "Hostile.",
            "system": source,
            "variables": {"text": {"type": "string", "default": "x"}},
        }
        (folder / f"{name}.json").write_text(json.dumps(template), encoding="utf-8")
    silent = {"name": "silent", "description": "Hostile.", "system": "Speak."}
    silent["user"] = "{% if not message %}{{ message }}{% endif %}"
    (folder / "silent.json").write_text(json.dumps(silent), encoding="utf-8")
    with serving(models_dir=empty_models, prompts_dir=folder) as client:
        yield client


@pytest.mark.parametrize("name", [*HOSTILE, "silent"])
@pytest.mark.parametrize("path", ["/api/v3/chat", "/api/v3/chat/stream"])
def test_a_hostile_template_is_a_clear_error(hostile: httpx.Client, name: str, path: str) -> None:
    body = {"message": "hi", "template": name}
    answer = hostile.post(path, json=body, timeout=60)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "template-failed"
    assert answer.json()["detail"].startswith(f"The template {name} ")
    fine = hostile.post(path, json=body | {"system": "Mine.", "message": "hi"})
    assert fine.status_code == (422 if name == "silent" else 200)


def test_other_requests_are_answered_while_a_template_loops(hostile: httpx.Client) -> None:
    looping = [{"message": "hi", "template": "endless"}] * 3
    with httpx.Client(base_url=hostile.base_url, timeout=60) as other:
        for body in looping:
            assert other.post("/api/v3/chat", json=body).status_code == 422
            assert hostile.get("/health/live").status_code == 200
