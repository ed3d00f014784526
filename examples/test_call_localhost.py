"""Ask this machine's server one question: ``python examples/test_call_localhost.py [TEXT]``."""

import json
import sys
import urllib.request

ADDRESS = "http://127.0.0.1:8000/tool/generate_hyperclovax_vision"


def main() -> None:
    """Print the answer."""
    prompt = " ".join(sys.argv[1:]) or "Hello! What are you?"
    body = json.dumps({"prompt": prompt, "image_base64": ""}).encode()
    request = urllib.request.Request(ADDRESS, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        print(json.load(answer)["result"])


if __name__ == "__main__":
    main()
