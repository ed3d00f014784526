"""Call the tools over the Model Context Protocol: ``python examples/test_call_mcp.py [ADDRESS]``.

Needs nothing but Python; agents use an SDK of the protocol (docs/mcp.md).
"""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
REVISION = "2026-07-28"
REQUESTS = Path(__file__).parent / "requests"


def ask(method: str, **params: Any) -> Any:
    """The result of one message."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": REVISION,
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    address = f"{ADDRESS.rstrip('/')}/mcp"
    request = urllib.request.Request(address, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return read(answer.read().decode())["result"]


def read(text: str) -> Any:
    """The answer, which is a JSON object, or after some seconds the last of a stream of events."""
    if text.startswith("{"):
        return json.loads(text)
    events = [line for line in text.splitlines() if line.startswith("data: {")]
    return json.loads(events[-1].removeprefix("data: "))


def main() -> None:
    """List the tools, then call some."""
    print("tools:", ", ".join(tool["name"] for tool in ask("tools/list")["tools"]))
    for name in ("text.json", "image.json"):
        body = json.loads((REQUESTS / name).read_text(encoding="utf-8"))
        result = ask("tools/call", name="generate_hyperclovax_vision", arguments=body)
        print(f"{name}: {result['content'][0]['text']}")
    models = ask("tools/call", name="list_models", arguments={})["structuredContent"]["models"]
    print("models:", ", ".join(model["id"] for model in models))


if __name__ == "__main__":
    main()
