"""The header that names the tools of a request which are not run here."""

from __future__ import annotations

from collections.abc import Iterable

SKIPPED_TOOLS = "X-Skipped-Tools"


def skipped_tools_header(types: Iterable[str]) -> dict[str, str]:
    """The header for tools of these types; none where there are none."""
    # Types are texts of the client: a header holds ASCII alone.
    names = ", ".join(dict.fromkeys(types)).encode("ascii", "backslashreplace").decode()
    return {SKIPPED_TOOLS: names} if names else {}
