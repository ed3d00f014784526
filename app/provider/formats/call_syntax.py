"""How an answer can spell tool calls and channels: the columns of the table of formats."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

CallKind = Literal["json", "named_json", "markup", "pythonic", "braces"]
"""How one call is spelled between ``call_open`` and ``call_close``.

``json``: ``{"NAME_KEY": "f", "ARGUMENTS_KEY": {…}}``. ``named_json``: the name, ``after_name``,
then the arguments as JSON. ``markup``: the name, ``after_name``, then each argument as
``parameter`` spells it; a string stands as it is, any other value as JSON. ``pythonic``:
``f(a=1, b="x")`` with Python literals. ``braces``: the name, then ``{key:value,…}`` with bare keys,
strings between two ``quote`` and JSON's other values; lists and objects hold the same.
"""


class ParameterSpelling(NamedTuple):
    """What stands around the key and the value of one argument."""

    before_key: str
    before_value: str
    after_value: str


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """How tool calls stand in an answer; see ``CallKind`` for what is between the texts.

    All calls: ``section_open``, the calls with ``separator`` between them, ``section_close``. One
    call: ``call_open``, its spelling, ``call_close``. ``single``: the family makes one call per
    answer. ``only_at_start``: nothing marks a call but that the answer begins with it; elsewhere
    text may come first.
    """

    kind: CallKind
    call_open: str = ""
    call_close: str = ""
    section_open: str = ""
    section_close: str = ""
    separator: str = ""
    after_name: str = ""
    name_key: str = "name"
    arguments_key: str = "arguments"
    parameter: ParameterSpelling | None = None
    quote: str = ""
    single: bool = False
    only_at_start: bool = False

    @property
    def opening(self) -> str:
        """The text with which calls begin; what follows it is a call, not text."""
        return self.section_open + self.call_open


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format by its name. ``calls`` is how the model is expected to spell tool calls.

    ``templates`` and ``vocabularies`` recognise it: each is a set of texts that all stand in the
    chat template's source, or are all tokens. ``channels``: the answer has parts that are not meant
    for the reader even where no tools are offered. ``part_end`` ends such a part, not the answer,
    in vocabularies with one of ``answer_ends``: elsewhere it is known as the end of an answer.
    """

    name: str
    calls: CallSyntax
    markers: frozenset[str] = frozenset()
    templates: tuple[tuple[str, ...], ...] = ()
    vocabularies: tuple[tuple[str, ...], ...] = ()
    channels: bool = False
    part_end: str = ""
    answer_ends: tuple[str, ...] = ()

    def kept(self, control_texts: Collection[str]) -> frozenset[str]:
        """The markers that are control tokens: the engine must let these through as text."""
        return self.markers.intersection(control_texts)

    def call_token(self, control_texts: Collection[str]) -> str:
        """The control token that begins calls; empty where they begin with ordinary text."""
        kept = self.kept(control_texts)
        return next((one for one in kept if self.calls.opening.startswith(one)), "")
