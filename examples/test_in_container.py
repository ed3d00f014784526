"""Ask the server from inside its container: ``python examples/test_in_container.py``.

It waits until the server is healthy, on the port that the settings name, and asks one question.
Needs nothing but Python.
"""

import json
import os
import time
import urllib.request

ADDRESS = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
TOOL = f"{ADDRESS}/tool/generate_hyperclovax_vision"
LONGEST_WAIT = 300
"""Seconds that a model may take to load."""


def wait_until_healthy() -> None:
    """Return when the server says that it is."""
    began = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(f"{ADDRESS}/health", timeout=5) as answer:
                print(f"healthy: {json.load(answer)['status']}")
                return
        except OSError:
            if time.monotonic() - began > LONGEST_WAIT:
                raise
            time.sleep(1)


def main() -> None:
    """Print the answer and the name of the model."""
    wait_until_healthy()
    body = json.dumps({"prompt": "Hello! What are you?", "image_base64": ""}).encode()
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("API_KEYS", "").partition(",")[0]:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(TOOL, body, headers)
    with urllib.request.urlopen(request, timeout=LONGEST_WAIT) as answer:
        print(f"{answer.headers['X-Model']}: {json.load(answer)['result']}")


if __name__ == "__main__":
    main()
