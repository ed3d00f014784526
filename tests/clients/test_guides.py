"""The programs that pages show for clients of others run as they stand there."""

from __future__ import annotations

import re

import pytest

from tests.clients.environments import node_with, python_with, run_module, run_program
from tests.docs.pages import blocks

ADDRESS = "http://127.0.0.1:8000"
ENVIRONMENTS = {
    "anthropic": "sdks",
    "openai": "sdks",
    "langchain_openai": "langchain",
    "llama_index": "llama_index",
}
"""Which environment has what a program imports first that is not the standard library's."""
PAGES = ("anthropic", "clients", "openai", "responses")
PROGRAMS = [
    pytest.param(program, id=f"{page}-{number}")
    for page in PAGES
    for number, program in enumerate(blocks(f"docs/{page}.md", "python"))
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_in_python(program: str, address: str) -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", program, re.MULTILINE)
    (environment,) = {ENVIRONMENTS[name] for name in imported if name in ENVIRONMENTS}
    output = run_program(python_with(environment), program.replace(ADDRESS, address))
    assert len(output.strip()) > 2


def test_the_program_for_node(address: str) -> None:
    (program,) = blocks("docs/clients.md", "js")
    output = run_module(node_with("node"), program.replace(ADDRESS, address))
    assert len(output.strip()) > 2
