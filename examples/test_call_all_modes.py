"""Ask the tool routes in every way: ``python examples/test_call_all_modes.py [ADDRESS]``.

Needs nothing but Python. Without an address the server on this machine is asked.
"""

import json
import sys
import urllib.request
from pathlib import Path

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
TOOL = f"{ADDRESS.rstrip('/')}/tool/generate_hyperclovax_vision"
REQUESTS = Path(__file__).parent / "requests"


def ask(address: str, body: dict[str, object], accept: str = "*/*") -> tuple[str, str]:
    """Post a body; return the answer and the name of the model."""
    headers = {"Content-Type": "application/json", "Accept": accept}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read().decode(), answer.headers["X-Model"]


def read(name: str) -> dict[str, object]:
    """One of the bodies beside this file."""
    body: dict[str, object] = json.loads((REQUESTS / name).read_text(encoding="utf-8"))
    return body


def main() -> None:
    """Ask for text, about a picture, and for streams."""
    answer, model = ask(TOOL, read("text.json"))
    print(f"{model}, text: {json.loads(answer)['result']}")
    for name in ("image.json", "data-url.json"):
        answer, model = ask(TOOL, read(name))
        print(f"{model}, {name}: {json.loads(answer)['result']}")
    print(f"stream in the body: {ask(TOOL, read('stream.json'))[0]}")
    print(f"stream in the address: {ask(f'{TOOL}?stream=true', read('text.json'))[0]}")
    print(f"the route for streams: {ask(f'{TOOL}_stream', read('image.json'))[0]}")
    print(f"events:\n{ask(f'{TOOL}_stream', read('text.json'), 'text/event-stream')[0]}")


if __name__ == "__main__":
    main()
