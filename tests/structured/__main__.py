"""Asks models for answers with random JSON schemas and random tools, and says how they ended.

``python -m tests.structured gguf onnx mlx pytorch gguf=PATH …``: an engine alone runs the starter,
``gguf=random`` (or mlx, pytorch) the starter with random weights. Of the answers that end, all must
match; at most one in twenty may be cut. The exit code says whether that is so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from app.provider.runtime.host import EngineHost
from tests.provider.asking import host_of
from tests.structured import random_weights
from tests.structured.answers import Tally, ask_schemas, ask_tools

MOST_CUT = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["gguf"], metavar="ENGINE[=PATH]")
    parser.add_argument("--schemas", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--tools", type=int, default=300, help="how many sets (300)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--temperature", type=float, default=1.5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = [asyncio.run(_run(one, chosen, Path(folder))) for one in chosen.models]
    return 0 if all(results) else 1


async def _run(model: str, chosen: argparse.Namespace, folder: Path) -> bool:
    host = _host(model, folder)
    first = chosen.first
    tallies = {
        "schemas": await ask_schemas(
            host, range(first, first + chosen.schemas), chosen.temperature
        ),
        "tools": await ask_tools(host, range(first, first + chosen.tools), chosen.temperature),
    }
    await host.stop()
    for what, tally in tallies.items():
        sys.stdout.write(f"{model} {what}: {tally}\n")
        sys.stdout.writelines(f"    {line}\n" for line in tally.wrong[:10])
    sys.stdout.flush()
    return all(map(_is_good, tallies.values()))


def _is_good(tally: Tally) -> bool:
    count = sum(tally.ends.values())
    return not tally.wrong and tally.ends["cut"] <= MOST_CUT * count


def _host(model: str, folder: Path) -> EngineHost:
    engine, _, path = model.partition("=")
    if path != "random":
        return host_of(engine, path=Path(path) if path else None)
    if engine == "gguf":
        return host_of(engine, path=random_weights.write_gguf(folder / "random.gguf"))
    return host_of(engine, path=random_weights.write_folder(folder / engine))


sys.exit(main())
