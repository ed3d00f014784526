"""Runs the named checks of a script, and prints how each ended as JSON."""

import json
import sys
import traceback
from collections.abc import Callable

CHECKS: dict[str, Callable[[], None]] = {}


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Register a check under the name of the function."""
    CHECKS[function.__name__] = function
    return function


def main() -> None:
    """Run all checks, or those named after the address; one that fails does not end the others."""
    chosen = sys.argv[2:] or list(CHECKS)
    results = {name: _outcome(CHECKS[name]) for name in chosen}
    print(json.dumps(results))


def _outcome(function: Callable[[], None]) -> str:
    try:
        function()
    except Exception:
        return traceback.format_exc()
    return "passed"
