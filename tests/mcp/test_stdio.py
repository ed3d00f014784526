"""``sllm mcp``: the same protocol over stdin and stdout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.http.vision import picture
from tests.mcp.connecting import KEYS, MODES, Mode, called, data
from tests.mcp.every_tool import NAMES, call_every_tool
from tests.mcp.stdio import COMMAND, ROOT, Host, free_port, started
from tests.mcp.stopping import ENDLESS, EchoServer
from tests.mcp.wire import DISCOVER, INITIALIZE, legacy, messages, modern

pytestmark = pytest.mark.slow


def leading_to(server: httpx.Client) -> dict[str, str]:
    """Variables that name a server, and a key of it."""
    return {"SLLM_BASE_URL": str(server.base_url).rstrip("/"), "SLLM_API_KEY": KEYS[0]}


@pytest.fixture(scope="module")
def environment(server: httpx.Client) -> dict[str, str]:
    return leading_to(server)


@pytest.fixture
def host(environment: dict[str, str]) -> Iterator[Host]:
    with started(**environment) as host:
        yield host


@pytest.fixture
def alone(tmp_path: Path, empty_models: Path) -> dict[str, str]:
    """Variables with which no server is running."""
    return {
        "PORT": str(free_port()),
        "DATABASE_URL": f"sqlite:///{tmp_path}/sllm.db",
        "MODELS_DIR": str(empty_models),
        "ENABLE_ECHO": "true",
    }


@pytest.mark.parametrize("first", [INITIALIZE, DISCOVER], ids=["initialize", "discover"])
@pytest.mark.parametrize("command", [COMMAND, (ROOT / "run.sh", "mcp")], ids=["sllm", "run.sh"])
def test_the_first_answer_comes_at_once_without_a_server(
    alone: dict[str, str], command: Any, first: dict[str, Any]
) -> None:
    with started(command, **alone) as host:
        answer = host.ask(first["json"])
    assert answer["result"]["capabilities"]["tools"] == {"listChanged": False}


def test_nothing_slow_is_imported_before_the_first_answer() -> None:
    """Half a second after its start a host looks for another server."""
    program = (
        "import sys; from app.cli.mcp import bridge, command;"
        "assert not {'pydantic', 'fastapi', 'mcp', 'asyncio', 'typer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("first", [INITIALIZE, DISCOVER], ids=["initialize", "discover"])
def test_it_says_of_itself_what_the_server_says(
    server: httpx.Client, host: Host, first: dict[str, Any]
) -> None:
    (expected,) = messages(server.post("/mcp", **first).text)
    assert host.ask(first["json"]) == expected


@pytest.mark.parametrize("version", ["2027-01-01", "2026-07-28"])
def test_an_unknown_revision_is_refused_as_by_the_server(
    server: httpx.Client, host: Host, version: str
) -> None:
    asked = modern("server/discover")
    asked["headers"]["mcp-protocol-version"] = version
    asked["json"]["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = version
    (expected,) = messages(server.post("/mcp", **asked).text)
    assert host.ask(asked["json"]) == expected


def test_a_host_that_falls_back_gets_an_answer(host: Host) -> None:
    assert "result" in host.ask(DISCOVER["json"])
    assert host.ask(INITIALIZE["json"])["result"]["protocolVersion"] == "2025-11-25"
    host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert len(host.ask(legacy("tools/list")["json"])["result"]["tools"]) == len(NAMES)
    assert len(host.ask(modern("tools/list")["json"])["result"]["tools"]) == len(NAMES)


@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_uses_it(
    server: httpx.Client, environment: dict[str, str], mode: Mode
) -> None:
    parameters = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:]], cwd=ROOT, env=environment
    )
    seen: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (None, "working")
        seen.append(progress)

    async with Client(stdio_client(parameters), mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == NAMES
        arguments = {"message": "안녕 ☕", "model": "echo"}
        await client.call_tool("chat", arguments, progress_callback=progressed)
        assert seen == [1]
        assert await called(client, "chat", **arguments) == ["안녕 ☕"]
        await call_every_tool(client, server)
        assert (await client.get_prompt("default", {"message": "hi"})).messages
        assert "starter" in str(await client.read_resource("sllm://models/starter"))


async def test_a_picture_may_be_named_by_its_path(
    server: httpx.Client, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "a picture.png"
    file.write_bytes(picture())
    parameters = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:]], cwd=ROOT, env=environment
    )
    async with Client(stdio_client(parameters)) as client:
        for path in (str(file), file.as_uri()):
            found = await called(client, "describe_image", image=path, temperature=0)
            assert found[0].strip()
        asked = {"prompt": "What?", "image_base64": str(file)}
        assert await called(client, "generate_hyperclovax_vision", **asked)
        with pytest.raises(Exception, match="No such file"):
            await client.call_tool("describe_image", {"image": "file:///no/where.png"})
        assert (await data(client, "list_models"))["models"]


@pytest.mark.parametrize("era", [legacy, modern])
async def test_cancelling_stops_the_engine_and_is_not_answered(
    echo_server: EchoServer, era: Any
) -> None:
    asked = era("tools/call", name="chat", arguments=ENDLESS)["json"] | {"id": "slow"}
    with started(**leading_to(echo_server.client)) as host, echo_server.standing_still():
        host.send(asked)
        await echo_server.wait_until(1)
        host.send(
            {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": "slow", "reason": "the user pressed Escape"},
            }
        )
        await echo_server.wait_until(0)
        assert host.silent(0.2)
        assert "result" in host.ask(legacy("ping")["json"])


async def test_closing_the_input_stops_all_calls(echo_server: EchoServer) -> None:
    with echo_server.standing_still():
        with started(**leading_to(echo_server.client)) as host:
            for number in range(2):
                asked = legacy("tools/call", name="chat", arguments=ENDLESS)["json"]
                host.send(asked | {"id": number})
            await echo_server.wait_until(2)
        await echo_server.wait_until(0)
    assert host.process.returncode == 0


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b"3", b"\xff"])
def test_a_line_that_is_no_message_is_refused(host: Host, line: bytes) -> None:
    host.send(line)
    answer = host.receive()
    assert (answer["id"], answer["error"]["code"] in {-32700, -32600}) == (None, True)
    assert "result" in host.ask(legacy("ping")["json"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SLLM_BASE_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
        ({"SLLM_API_KEY": "wrong"}, "This API key is not known here."),
    ],
)
def test_a_server_that_cannot_be_used_is_said(
    environment: dict[str, str], change: dict[str, str], sentence: str
) -> None:
    with started(**environment | change) as host:
        assert "result" in host.ask(INITIALIZE["json"])
        assert sentence in host.ask(legacy("tools/list")["json"])["error"]["message"]


def test_a_server_is_started_and_ends_with_it(alone: dict[str, str]) -> None:
    with started(**alone) as host:
        asked = legacy(
            "tools/call",
            name="chat",
            arguments={"message": "hi", "model": "echo"},
            _meta={"progressToken": "p"},
        )
        host.send(asked["json"])
        got = [host.receive()]
        while "method" in got[-1]:
            got.append(host.receive())
        assert got[-1]["result"]["content"][0]["text"] == "hi"
        progress = [one["params"]["progress"] for one in got[:-1]]
        assert got[0]["params"]["message"] == "starting the server"
        assert progress == sorted(set(progress))
        family = psutil.Process(host.process.pid).children(recursive=True)
        assert family
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


def test_a_server_ends_with_it_even_when_it_is_killed(alone: dict[str, str]) -> None:
    with started(**alone) as host:
        assert "result" in host.ask(legacy("tools/list")["json"])
        family = psutil.Process(host.process.pid).children(recursive=True)
        host.process.kill()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive


def test_two_hosts_start_one_server(alone: dict[str, str]) -> None:
    """The one whose server finds the port taken uses that of the other."""
    with started(**alone) as first, started(**alone) as second:
        for host in (first, second):
            host.send(legacy("tools/list")["json"])
        for host in (first, second):
            assert len(host.receive()["result"]["tools"]) == len(NAMES)


@pytest.mark.matrix
def test_a_server_that_does_not_start_is_said(alone: dict[str, str]) -> None:
    with started(**alone | {"DATABASE_URL": "sqlite:////no/where/sllm.db"}) as host:
        assert "result" in host.ask(INITIALIZE["json"])
        assert "did not start" in host.ask(legacy("tools/list")["json"])["error"]["message"]
    with started(**alone | {"PORT": "many"}) as host:
        assert "PORT" in host.ask(legacy("tools/list")["json"])["error"]["message"]
