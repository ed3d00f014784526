"""A user of ``requests`` and ``sseclient-py``, who knows nothing but the address. Prints JSON."""

import json
import sys

import requests
import sseclient

address, picture = sys.argv[1:]
ask = {"message": "one two three"}
api = requests.Session()

whole = api.post(f"{address}/api/v5/chat", json=ask, timeout=60)
whole.raise_for_status()

stream = api.post(f"{address}/api/v2/chat/stream", json=ask, stream=True, timeout=60)
stream.raise_for_status()
events = [(event.event, json.loads(event.data)) for event in sseclient.SSEClient(stream).events()]

with open(picture, "rb") as file:
    form = {"message": "What is it?", "model": "echo-vision"}
    seen = api.post(
        f"{address}/api/v5/vision/chat",
        data=form,
        files=[("images", ("a picture.png", file, "image/png"))],
        timeout=60,
    )
seen.raise_for_status()

refused = api.post(f"{address}/api/v5/chat", json={"message": 1}, timeout=60)

print(
    json.dumps(
        {
            "whole": whole.json(),
            "events": events,
            "seen": seen.json(),
            "refused": [refused.status_code, refused.headers["content-type"], refused.json()],
        }
    )
)
