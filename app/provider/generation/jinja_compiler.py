"""From a chat template's source to Python that keeps the limits.

Jinja's own compiler writes some operations as plain Python, where no environment can count them:
literals, slices, the joining of text and the buffers of blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Macro

MOST_NODES = 8_000
"""Python takes half a second and 50 MB to compile so many; real templates have up to 1,500."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.With),
    *(nodes.Assign, nodes.AssignBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.Keyword),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Call, nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul),
    *(nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat, nodes.Break, nodes.Continue),
    *(nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.ExtensionAttribute),
    nodes.EvalContext,
)


class Generation(Extension):
    """``{% generation %}…{% endgeneration %}``: the answers that a model learns from, in training.

    As in transformers it is a call block, so that names mean the same in it.
    """

    tags = {"generation"}  # noqa: RUF012 (Jinja declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        """Read the block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_content")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _content(self, caller: Macro) -> str:
        content: str = caller()
        return content


class Generator(CodeGenerator):
    """Writes every operation as a call that the environment can count."""

    def buffer(self, frame: Frame) -> None:
        """Begin to collect what a block writes."""
        frame.buffer = self.temporary_identifier()
        self.writeline(f"{frame.buffer} = environment.buffer()")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        """``~``."""
        self.write("environment.concat([")
        for part in node.nodes:
            self.write("environment.text(")
            self.visit(part, frame)
            self.write("), ")
        self.write("])")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        """``[…]``."""
        self._literal(node, frame, super().visit_List)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        """``(…)``, and names to assign to."""
        self._literal(node, frame, super().visit_Tuple)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        """``{…}``."""
        self._literal(node, frame, super().visit_Dict)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        """``x[…]``."""
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.cut(")
        self.visit(node.node, frame)
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            self.visit(bound or nodes.Const(None), frame)
        self.write(")")

    def _literal(self, node: nodes.Expr, frame: Frame, write: Callable[[Any, Frame], None]) -> None:
        constant = all(
            isinstance(item, nodes.Const | nodes.Pair) for item in node.find_all(nodes.Node)
        )
        if constant or getattr(node, "ctx", "load") == "store":
            write(node, frame)
            return
        self.write("environment.combined(")
        write(node, frame)
        self.write(")")


def check(tree: nodes.Template) -> None:
    """Refuse what chat templates do not have; raises TemplateSyntaxError."""
    for count, node in enumerate(tree.find_all(nodes.Node)):
        if not isinstance(node, _NODES):
            _refuse(f"{type(node).__name__} is not available in chat templates", node)
        if count == MOST_NODES:
            _refuse(f"it has more than {MOST_NODES} parts", node)
        if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and node.dyn_args is not None:
            # Python would take a text apart in one piece.
            node.dyn_args = nodes.Filter(node.dyn_args, "list", [], [], None, None)


def _refuse(message: str, node: nodes.Node) -> None:
    raise TemplateSyntaxError(message, node.lineno or 1)
