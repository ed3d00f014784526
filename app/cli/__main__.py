"""The entry point of ``sllm``: ``python -m app.cli COMMAND``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:] == ["serve"]:
        # A start makes objects and hardly any garbage: looking for it would take a sixth of the
        # time to healthy. The server enables this again when everything is loaded.
        gc.disable()
        # The command-line library would take a fifth of the time to healthy.
        from app.cli.serve import main as serve  # noqa: PLC0415

        serve()
    elif sys.argv[1:2] == ["mcp"]:
        # A host waits for the first answer no longer than half a second.
        from app.cli.mcp.command import main as mcp  # noqa: PLC0415

        sys.exit(mcp(sys.argv[2:]))
    else:
        from app.cli.commands import app  # noqa: PLC0415

        app(prog_name="sllm")


if __name__ == "__main__":
    main()
