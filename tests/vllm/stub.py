"""Stands in for vLLM's program: ``python stub.py NOTES serve MODEL --options``.

It takes exactly the options of the real one (``flags.json``), serves a part of its API on a unix
socket, and starts a further process, in a session of its own, that ignores SIGTERM. A question is
answered with its own words.

NOTES is a folder. What the stub was started with is written there (``started-PID.json``), so are
its requests (``requests.jsonl``) and the answers that clients have hung up on (``closed``). A file
``fault`` there says what goes wrong, also later on:

``dies MESSAGE``  it writes the message as vLLM would, and ends before it is ready
``silent``        it ends before it is ready without a word
``slow``          it is not ready before the file is gone
``stubborn``      it ignores SIGTERM
``dead``          its health is 503, and so is what it answers; one that starts later is well
``deaf``          it does not listen any more, and does not end; one that starts later does listen
``cut``           it ends in the middle of the next answer
``holds``         answers stop after two words, until the file is gone

Only the standard library is used: the environment is another one than that of the tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("flags.json")
ERROR = "(EngineCore pid=7) ERROR 11-30 01:02:03 [core.py:700] "
PATHS = ("/health", "/version", "/tokenize", "/v1/models", "/v1/chat/completions")
CACHED = {"cached_tokens": 1}
SLEEPER = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)"
)


def fail(message: str) -> None:
    """End as argparse does."""
    sys.stderr.write(f"usage: vllm serve [model_tag] [options]\nvllm serve: error: {message}\n")
    sys.exit(2)


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options of a command line; ends the program for what vLLM would refuse."""
    options: dict[str, Any] = {"model": "", "switches": []}
    known = json.loads(TABLE.read_text())["options"]
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            if options["model"]:
                fail(f"unrecognized arguments: {name}")
            options["model"] = name
        elif name not in known:
            fail(f"unrecognized arguments: {name}")
        elif known[name]["takes"] == "nothing":
            if equals:
                fail(f"argument {name}: ignored explicit argument {value!r}")
            options["switches"].append(name)
        elif not equals and not rest:
            fail(f"argument {name}: expected one argument")
        else:
            options[name] = checked(name, known[name], value if equals else rest.pop(0))
    return options


def checked(name: str, option: dict[str, Any], value: str) -> str:
    """The value, if the option can have it."""
    if option["takes"] == "choice" and value not in map(str, option["choices"]):
        fail(f"argument {name}: invalid choice: {value!r}")
    try:
        {"int": int, "float": float}.get(option["takes"], str)(value)
    except ValueError:
        fail(f"argument {name}: invalid {option['takes']} value: {value!r}")
    return value


def say(line: str) -> None:
    """Write a line where vLLM logs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass
class Request:
    """A request: the key that it names, and its JSON."""

    method: str
    path: str
    key: str
    body: Any

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Request:
        """Read the next one."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        parts = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in parts}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = first.split(" ")
        key = headers.get("authorization", "").removeprefix("Bearer ")
        return cls(method, path, key, json.loads(content) if content else {})


class Stub:
    """The server of one model."""

    def __init__(self, notes: Path, options: dict[str, Any]) -> None:
        self.notes = notes
        self.options = options
        self.model = options["--served-model-name"]
        self.started_ill = self.fault() in {"dead", "deaf"}

    def fault(self) -> str:
        """What goes wrong now."""
        try:
            return (self.notes / "fault").read_text()
        except FileNotFoundError:
            return ""

    def load(self) -> None:
        """Begin to load."""
        child = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
        self.note_start(child.pid)
        fault = self.fault()
        if fault == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if fault == "silent":
            os._exit(3)
        if fault.startswith("dies "):
            self.die(fault.removeprefix("dies "))
        say("Loading safetensors checkpoint shards:  50% Completed | 1/2")

    async def serve(self) -> None:
        """Serve as soon as the model is loaded."""
        while self.fault() == "slow":
            await asyncio.sleep(0.05)
        server = await asyncio.start_unix_server(self.connection, self.options["--uds"])
        while self.fault() != "deaf" or self.started_ill:
            await asyncio.sleep(0.05)
        server.close()
        while True:
            await asyncio.sleep(60)

    def die(self, message: str) -> None:
        """End as vLLM does: the cause is not in the last line."""
        say(f"{ERROR}Traceback (most recent call last):")
        say(f"{ERROR}{message}")
        say("RuntimeError: Engine core initialization failed. See root cause above.")
        os._exit(1)

    def note_start(self, child: int) -> None:
        """Write down how it was started."""
        facts = {
            "argv": sys.argv[2:],
            "options": self.options,
            "environment": dict(os.environ),
            "pids": [os.getpid(), child],
        }
        file = self.notes / f"started-{os.getpid()}.new"
        file.write_text(json.dumps(facts))
        file.rename(file.with_suffix(".json"))

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                await self.answer(await Request.read(reader), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request."""
        with (self.notes / "requests.jsonl").open("a") as file:
            noted = {"method": request.method, "path": request.path, "body": request.body}
            file.write(json.dumps(noted) + "\n")
        if refusal := self.refusal(request):
            await send(writer, *refusal)
        elif request.body.get("stream"):
            await self.stream(request.body, reader, writer)
        else:
            await send(writer, 200, self.value(request))

    def refusal(self, request: Request) -> tuple[int, Any] | None:
        """A status and an answer for what is not answered."""
        if self.fault() == "dead" and not self.started_ill:
            return 503, {"error": {"message": "EngineDeadError", "code": 503}}
        if request.path.startswith("/v1/") and request.key != os.environ["VLLM_API_KEY"]:
            return 401, {"error": "Unauthorized"}
        if request.path not in PATHS:
            return 404, {"error": {"message": "Not Found"}}
        return None

    def value(self, request: Request) -> Any:
        """What a request is answered with as a whole."""
        match request.path:
            case "/version":
                return {"version": "0.33.0"}
            case "/v1/models":
                return {"object": "list", "data": [self.card()]}
            case "/tokenize":
                tokens = list(range(len(prompt_words(request.body))))
                return {"count": len(tokens), "max_model_len": 4096, "tokens": tokens}
            case "/v1/chat/completions":
                return self.completion(request.body)
        return None

    def completion(self, body: Any) -> Any:
        """A whole answer."""
        message = {"role": "assistant", "content": "".join(answer_words(body))}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return {"id": "1", "model": self.model, "choices": choices, "usage": usage(body)}

    def card(self) -> dict[str, Any]:
        """An entry of the list of models."""
        length = int(self.options["--max-model-len"])
        return {"id": self.model, "object": "model", "max_model_len": max(length, 0) or 4096}

    async def stream(
        self, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer in server-sent events."""
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        hung_up = asyncio.create_task(reader.read(1))
        async for value in self.chunks(body, hung_up):
            data = f"data: {value}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        if hung_up.done():
            with (self.notes / "closed").open("a") as file:
                file.write("closed\n")
            raise ConnectionResetError
        hung_up.cancel()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def chunks(self, body: Any, hung_up: asyncio.Task[bytes]) -> AsyncIterator[str]:
        """The data of the events."""
        first = {"role": "assistant", "content": ""}
        yield self.chunk(body, first, usage(body, written=0))
        for place, word in enumerate(answer_words(body), start=1):
            yield self.chunk(body, {"content": word}, usage(body, written=place))
            if place == 2 and self.fault() == "cut":
                await asyncio.sleep(0.1)
                os._exit(1)
            while place == 2 and self.fault() == "holds":
                await asyncio.wait([hung_up], timeout=0.02)
                if hung_up.done():
                    return
        yield self.chunk(body, {}, usage(body), "stop")
        yield json.dumps({"id": "1", "choices": [], "usage": usage(body)})
        yield "[DONE]"

    def chunk(self, body: Any, delta: Any, used: Any, reason: str | None = None) -> str:
        """One piece of the answer."""
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return json.dumps({"id": "1", "model": self.model, "choices": [choice], "usage": used})


async def send(writer: asyncio.StreamWriter, status: int, value: Any) -> None:
    """Send a whole answer."""
    content = b"" if value is None else json.dumps(value).encode()
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()


def text_of(message: Any) -> str:
    """The text of a message, whose content may have parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def prompt_words(body: Any) -> list[str]:
    """The tokens of a prompt."""
    return [word for one in body.get("messages", ()) for word in text_of(one).split()]


def answer_words(body: Any) -> list[str]:
    """The answer: the last message, word by word."""
    words = text_of(body["messages"][-1]).split()
    most = body.get("max_tokens") or body.get("max_completion_tokens") or len(words)
    return [f" {word}" if place else word for place, word in enumerate(words[:most])]


def usage(body: Any, written: int | None = None) -> dict[str, Any]:
    """The tokens of an answer so far; how many came from the cache is known at its end."""
    prompt, words = len(prompt_words(body)), len(answer_words(body))
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": words if written is None else written,
        "total_tokens": prompt + (words if written is None else written),
    }
    return counts if written is not None else counts | {"prompt_tokens_details": CACHED}


def main() -> None:
    """Serve until the end."""
    notes, command, *arguments = sys.argv[1:]
    if command != "serve":
        fail(f"invalid choice: {command!r}")
    stub = Stub(Path(notes), parse(arguments))
    stub.load()
    asyncio.run(stub.serve())


if __name__ == "__main__":
    main()
