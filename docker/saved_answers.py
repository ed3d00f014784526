"""Check that answers which ran at a stop are stored: ``saved_answers.py URL FOLDER``.

FOLDER has what the clients of ``POST /api/v4/chat/stream`` got, a file for each. Used by verify.sh.
"""

import json
import sys
import urllib.request
from collections import Counter
from pathlib import Path


def received(stream: str) -> tuple[dict[str, str], str]:
    """What the first event says, and the text that came; both empty if the stream never began."""
    first: dict[str, str] = {}
    text = ""
    for event in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if fields.get("event") == "message":
            first = json.loads(fields["data"])
        elif fields.get("event") == "delta" and fields.get("data", "").endswith("}"):
            text += json.loads(fields["data"])["text"]
    return first, text


def stored(url: str, first: dict[str, str]) -> dict[str, str]:
    """The stored answer."""
    address = f"{url}/api/v4/conversations/{first['conversation_id']}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        messages = json.load(answer)["messages"]
    found: dict[str, str] = next(each for each in messages if each["id"] == first["message_id"])
    return found


def main(url: str, folder: Path) -> None:
    """Fail where an answer has less than its client saw, or is still called running."""
    ends: Counter[str] = Counter()
    for file in sorted(folder.iterdir()):
        first, text = received(file.read_text(encoding="utf-8"))
        if first:
            kept = stored(url, first)
            assert kept["content"].startswith(text), (kept, text)
            ends[kept["status"]] += 1
    print(*(f"{count} {status}" for status, count in ends.items()), sep=", ")
    assert ends
    assert "generating" not in ends, ends


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
