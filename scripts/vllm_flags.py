"""Writes the options of ``vllm serve`` to a file, from the sources in a wheel of vLLM.

    python scripts/vllm_flags.py vllm-0.33.0-….whl tests/vllm/flags.json

The tests' stand-in for vLLM takes exactly these options. The sources are read, not run: vLLM's own
parser needs PyTorch and a GPU's libraries. Its options are the fields of classes, and calls of
``add_argument``, most of them with what a field's annotation says.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

FRONTEND = "vllm/entrypoints/common/cli_args.py"
ENGINE = "vllm/engine/arg_utils.py"
COMMAND = "vllm/entrypoints/cli/serve.py"

Option = dict[str, Any]


@dataclass
class Sources:
    """The syntax trees of a wheel's modules that have options or classes with them."""

    version: str
    modules: dict[str, ast.Module]
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)

    @classmethod
    def of(cls, wheel: Path) -> Sources:
        """Read a wheel."""
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if _matters(name)]
            modules = {name: ast.parse(archive.read(name)) for name in names}
        sources = cls(wheel.name.split("-")[1], modules)
        for module in modules.values():
            for node in module.body:
                sources._note(node)
        return sources

    def _note(self, node: ast.stmt) -> None:
        """Remember a class, or a name for a type."""
        if isinstance(node, ast.ClassDef):
            self.classes[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            self.aliases[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            self.aliases[node.target.id] = node.value

    def fields_of(self, name: str) -> dict[str, ast.AnnAssign]:
        """The annotated fields of a class and its bases."""
        found: dict[str, ast.AnnAssign] = {}
        if name not in self.classes:
            return found
        node = self.classes[name]
        for base in node.bases:
            found |= self.fields_of(ast.unparse(base).rpartition(".")[2])
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found[part.target.id] = part
        return found

    def option(self, declared: ast.AnnAssign | None) -> Option:
        """What an option takes, by the annotation and the default of its field."""
        if declared is None:
            return {"takes": "text"}
        option = self._takes(declared.annotation)
        if isinstance(declared.value, ast.Constant):
            option["default"] = declared.value.value
        return option

    def _takes(self, annotation: ast.expr) -> Option:
        """The same rules as vLLM's own, in the same order."""
        kinds = list(self._kinds(annotation))
        choices = [value for kind in kinds if isinstance(kind, list) for value in kind]
        names = [ast.unparse(kind) for kind in kinds if not isinstance(kind, list)]
        if "bool" in names:
            return {"takes": "nothing" if "str" not in names else "text", "negatable": True}
        if choices:
            return {"takes": "choice", "choices": choices}
        if any(name.startswith(("list[", "set[", "tuple[")) for name in names):
            return {"takes": "text", "many": True}
        return {"takes": next((kind for kind in ("int", "float") if kind in names), "text")}

    def _kinds(self, annotation: ast.expr) -> Iterator[Any]:
        """The types of a union without None; a Literal is the list of its values."""
        match annotation:
            case ast.BinOp(left=left, right=right):
                yield from self._kinds(left)
                yield from self._kinds(right)
            case ast.Constant(value=None):
                return
            case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
                parts = values.elts if isinstance(values, ast.Tuple) else [values]
                yield [part.value for part in parts if isinstance(part, ast.Constant)]
            case ast.Subscript(value=ast.Name(id="SkipValidation" | "Annotated"), slice=inner):
                yield from self._kinds(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)
            case ast.Name(id=name) if name in self.aliases:
                yield from self._kinds(self.aliases[name])
            case _:
                yield annotation


def parsers_of(wheel: Path, kind: str) -> list[str]:
    """The names of vLLM's parsers of tool calls, or of thinking."""
    with ZipFile(wheel) as archive:
        module = ast.parse(archive.read(f"vllm/{kind}/__init__.py"))
    tables = [node.value for node in module.body if isinstance(node, ast.Assign)]
    names = [key for table in tables if isinstance(table, ast.Dict) for key in table.keys]
    return sorted(str(key.value) for key in names if isinstance(key, ast.Constant))


def _matters(name: str) -> bool:
    folder = name.startswith("vllm/config/") or name in {FRONTEND, ENGINE, COMMAND}
    return folder and name.endswith(".py")


def options_of(sources: Sources) -> dict[str, Option]:
    """Every option of ``vllm serve``."""
    found: dict[str, Option] = {}
    for name, declared in sources.fields_of("FrontendArgs").items():
        found[_flag(name)] = sources.option(declared)
    for module in (FRONTEND, ENGINE, COMMAND):
        for function in _functions(sources.modules[module]):
            for names, option in _added(sources, function):
                found |= dict.fromkeys(names, option)
    for name in [name for name, option in found.items() if option.pop("negatable", False)]:
        found.setdefault(f"--no-{name.removeprefix('--')}", {"takes": "nothing"})
    return dict(sorted(found.items()))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """The functions that add options to the parser."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and _adds_options(node):
            yield node


def _adds_options(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_argument"
        for node in ast.walk(function)
    )


def _added(sources: Sources, function: ast.FunctionDef) -> Iterator[tuple[list[str], Option]]:
    """The options that a function adds: their names, and what they take."""
    classes = _keyword_classes(function)
    for call in ast.walk(function):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        values = [one.value for one in call.args if isinstance(one, ast.Constant)]
        names = [one for one in values if isinstance(one, str) and one.startswith("-")]
        if call.func.attr == "add_argument" and names:
            yield names, _option_of(sources, call, classes)


def _keyword_classes(function: ast.FunctionDef) -> dict[str, str]:
    """``model_kwargs = get_kwargs(ModelConfig)`` as a name and a class."""
    found = {}
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="get_kwargs"), args=[ast.Name(id=made_of), *_]),
            ):
                found[name] = made_of
    return found


def _plain_keywords(call: ast.Call) -> Iterator[ast.keyword]:
    """The keywords of a call, and of a dict that is unpacked in it."""
    for keyword in call.keywords:
        if keyword.arg is None and isinstance(keyword.value, ast.Dict):
            names = [
                one.value if isinstance(one, ast.Constant) else None for one in keyword.value.keys
            ]
            for name, value in zip(names, keyword.value.values, strict=True):
                yield ast.keyword(arg=name if name is None else str(name), value=value)
        else:
            yield keyword


def _option_of(sources: Sources, call: ast.Call, classes: dict[str, str]) -> Option:
    option: Option = {"takes": "text"}
    for keyword in _plain_keywords(call):
        match keyword:
            case ast.keyword(
                arg=None,
                value=ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)),
            ):
                option |= sources.option(sources.fields_of(classes.get(name, "")).get(str(key)))
            case ast.keyword(arg="action", value=ast.Constant(value="store_true" | "store_false")):
                option["takes"] = "nothing"
            case ast.keyword(arg="type", value=ast.Name(id="int" | "float" as kind)):
                option["takes"] = kind
            case ast.keyword(arg="nargs", value=ast.Constant(value="+" | "*")):
                option["many"] = True
    return option


def main() -> None:
    """Read the wheel that the first argument names and write the file that the second names."""
    wheel, target = map(Path, sys.argv[1:3])
    sources = Sources.of(wheel)
    table = {
        "vllm": sources.version,
        "tool_parsers": parsers_of(wheel, "tool_parsers"),
        "reasoning_parsers": parsers_of(wheel, "reasoning"),
        "options": options_of(sources),
    }
    target.write_text(json.dumps(table, indent=1) + "\n")
    print(f"{len(table['options'])} options of vLLM {sources.version}")


if __name__ == "__main__":
    main()
