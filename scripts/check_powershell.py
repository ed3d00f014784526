"""Parse PowerShell scripts and print where they are broken: few machines have PowerShell itself.

python scripts/check_powershell.py FILE …
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_powershell.language()))


def main(paths: list[str]) -> int:
    problems = [problem for path in paths for problem in check(path)]
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


def check(path: str) -> Iterator[str]:
    """A line for each place where the grammar does not hold."""
    for node in broken(PARSER.parse(Path(path).read_bytes()).root_node):
        wrong = f"{node.type} is missing" if node.is_missing else f"unexpected {excerpt(node)}"
        yield f"{path}:{node.start_point.row + 1}: {wrong}"


def broken(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children:
        if child.has_error or child.is_missing:
            yield from broken(child)


def excerpt(node: Node) -> str:
    lines = (node.text or b"").decode(errors="replace").splitlines()
    return repr(lines[0][:60]) if lines else "end"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
