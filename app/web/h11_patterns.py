"""The patterns of h11 for header and chunk lines, made linear. Import it before serving.

h11 0.16 lets two runs of blanks stand side by side in a pattern, so a line of blanks that ends in
a character that may not be there takes quadratic time: 60,000 blanks stop the event loop for ten
seconds. Possessive quantifiers (``*+``) match the same lines and never go back.
"""

from __future__ import annotations

import re

from h11 import _readers

_VISIBLE = rb"[^\x00\s]++"

HEADER = re.compile(
    rb"(?P<field_name>[-!#$%&'*+.^_`|~0-9a-zA-Z]++):[ \t]*+"
    rb"(?P<field_value>(?:" + _VISIBLE + rb"(?:[ \t]++" + _VISIBLE + rb")*+)?+)[ \t]*+"
)

CHUNK = re.compile(rb"(?P<chunk_size>[0-9A-Fa-f]{1,20}+)(?P<chunk_ext>;[^\r\n]*+|[ \t]*+)\r\n")


def install() -> None:
    """Exchange the patterns in this process."""
    _readers.header_field_re = HEADER
    _readers.chunk_header_re = CHUNK
