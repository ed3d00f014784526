"""Counts functions of different engines that are alike, so that nothing is written twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

RATIO = 0.62
SHORTEST = 5
"""Lines of a function; shorter ones are alike by chance."""


@dataclass(frozen=True)
class Function:
    """A function of an engine, with its syntax tree as a sequence of names of nodes."""

    engine: str
    name: str
    nodes: list[str]


def functions(engines: Path) -> Iterator[Function]:
    """Every function of ``SHORTEST`` lines or more."""
    for path in sorted(engines.rglob("*.py")):
        place = path.relative_to(engines)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines >= SHORTEST:
                    yield Function(place.parts[0], f"{place}:{node.name}", normalized(node))


def normalized(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The nodes of its body in order, without docstring; variables by the order they come in."""
    variables: dict[str, int] = {}
    body = function.body[1:] if ast.get_docstring(function) else function.body
    arguments = ["argument"] * len(function.args.args)
    return arguments + [
        _label(node, variables) for statement in body for node in _in_order(statement)
    ]


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr_context):
            yield from _in_order(child)


def _label(node: ast.AST, variables: dict[str, int]) -> str:
    match node:
        case ast.Name(id=name):
            return f"variable {variables.setdefault(name, len(variables))}"
        case ast.Attribute(attr=name):
            return f".{name}"
        case ast.Constant(value=value):
            return repr(value)
        case _:
            return type(node).__name__


def alike(engines: Path) -> list[tuple[float, str, str]]:
    """Pairs of functions in different engines that are alike, and by how much."""
    found = [
        (round(ratio, 2), one.name, other.name)
        for one, other in combinations(functions(engines), 2)
        if one.engine != other.engine and (ratio := _ratio(one, other)) >= RATIO
    ]
    return sorted(found, reverse=True)


def _ratio(one: Function, other: Function) -> float:
    """How alike two functions are, 0 to 1; cheap upper bounds where they show that it is little."""
    matcher = SequenceMatcher(None, one.nodes, other.nodes, autojunk=False)
    bound = min(matcher.real_quick_ratio(), matcher.quick_ratio())
    return matcher.ratio() if bound >= RATIO else bound
