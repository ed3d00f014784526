"""The process that decodes one picture, on the socket whose number it is given, and ends.

A line of JSON and the file come in; a line of JSON and a PNG go out. Whatever a file does to the
decoder, it does to this process, which can have little memory, little time and no file or
connection beyond that socket.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from contextlib import suppress
from io import BufferedRWPair
from typing import Any

from app.media.decode import Drawn, Job, Undecodable, decode


def _confine(memory: int, seconds: int) -> None:
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        with suppress(ValueError, OSError):  # macOS does not know all of them
            resource.setrlimit(kind, (bound, bound))


def _answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        drawn = decode(content, Job(**request))
    except Undecodable as error:
        return {"problem": str(error)}, b""
    except MemoryError:
        return {"problem": "Decoding it takes more memory than a picture of its size needs."}, b""
    except Exception:  # broken files make decoders raise anything
        return {"problem": "The file is damaged or cut off: it cannot be decoded."}, b""
    return _description(drawn), drawn.content


def _description(drawn: Drawn) -> dict[str, Any]:
    return {"width": drawn.width, "height": drawn.height, "bytes": len(drawn.content)}


def _serve(line: BufferedRWPair) -> None:
    asked = line.readline()
    if not asked:
        return  # never needed
    request = json.loads(asked)
    content = line.read(request.pop("bytes"))
    _confine(request.pop("memory"), request.pop("seconds"))
    description, picture = _answer(request, content)
    with suppress(BrokenPipeError):
        line.write(json.dumps(description).encode() + b"\n" + picture)
        line.flush()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])).makefile("rwb"))
    os._exit(0)  # nothing is left to do, and tidying up takes as long as starting
