"""The command itself: a bridge, or the configuration of a host."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.cli.mcp.hosts import HOSTS, configuration


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(
        prog="sllm mcp", description="Speak MCP over stdin and stdout, for a host that starts this."
    )
    parser.add_argument(
        "--config", choices=HOSTS, metavar="HOST", help=f"print what it reads: {', '.join(HOSTS)}"
    )
    parser.add_argument(
        "--http", action="store_true", help="for a server that runs already, by its address"
    )
    chosen = parser.parse_args(arguments)
    if chosen.config:
        return configuration(chosen.config, http=chosen.http)
    from app.cli.mcp.bridge import run  # noqa: PLC0415 - not for a configuration

    run(sys.stdin.buffer)
    return 0
