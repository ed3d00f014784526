"""When a model server begins and ends, and who may use it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.config import Settings
from app.model_server.config import ServerConfig, config_of, decode, encode
from app.model_server.launch import NotStarted, dial
from app.provider.errors import EngineUnavailable
from app.provider.model_server.endpoint import Endpoint, NotPrivate
from tests.provider.asking import collect, prompt
from tests.provider.model_server import client_process
from tests.provider.model_server.processes import (
    ECHO,
    connected,
    have_ended,
    server_config,
    servers,
    signal_engine,
    status_of,
    the_server,
    until,
    until_requests,
)

SECRETS = ("API_KEYS", "HF_TOKEN", "DATABASE_URL")


async def test_two_that_start_at_once_start_one(config: ServerConfig) -> None:
    async with connected(config), connected(config), connected(config):
        socks = await asyncio.gather(*(dial(config) for _ in range(4)))
        assert len(servers()) == 1
        for sock in socks:
            sock.close()


async def test_processes_that_start_at_once_start_one(config: ServerConfig, tmp_path: Path) -> None:
    """The server outlives the process that has started it."""
    started = [asyncio.to_thread(client_process.start, config, tmp_path, 1) for _ in range(4)]
    clients = await asyncio.gather(*started)
    assert [await asyncio.to_thread(client.wait) for client in clients] == [0] * 4
    server = the_server()
    async with connected(config) as runtime:
        assert (await runtime.host.measured()).metrics["echo"].requests == {("stop", ""): 4}
        assert the_server() == server


async def test_the_socket_of_a_killed_server_is_replaced(config: ServerConfig) -> None:
    path = Endpoint(config.name).path
    async with connected(config):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        killed = the_server()
    killed.kill()
    await until(lambda: not servers())
    assert path.is_socket()
    async with connected(config) as runtime:
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"
        assert the_server() != killed


async def test_models_outlive_a_client_that_comes_back(config: ServerConfig) -> None:
    """What a reload does."""
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        pid = (await status_of(runtime)).pid
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        assert (await status_of(runtime)).pid == pid


async def test_it_ends_soon_after_its_last_client(tmp_path: Path) -> None:
    config = server_config(tmp_path, linger=0.5)
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        processes = [the_server(), *the_server().children()]
    await until(lambda: have_ended(*processes))
    assert not Endpoint(config.name).path.exists()


async def test_it_ends_at_once_with_its_owner(config: ServerConfig) -> None:
    async with connected(config, owner=True), connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        processes = [the_server(), *the_server().children()]
    await until(lambda: have_ended(*processes))


async def test_answers_may_end_when_the_owner_has_gone(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        async with connected(config, owner=True):
            await collect(runtime.host.stream(ECHO, prompt("hello")))
            await signal_engine(runtime, signal.SIGSTOP)
            asked = asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("the last"))))
            await until_requests(runtime, 1)
            server = the_server()
        await signal_engine(runtime, signal.SIGCONT)
        assert (await asked).text == "the last"
    await until(lambda: have_ended(server))


async def test_signals_of_a_terminal_do_not_end_it_and_sigterm_does(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        engine = psutil.Process((await status_of(runtime)).pid)
        server = the_server()
        for number in (signal.SIGINT, signal.SIGHUP):
            server.send_signal(number)
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"
        server.terminate()
        await until(lambda: have_ended(server, engine))


async def test_it_is_told_no_secret_by_its_command_line_and_tells_engines_none(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "a-secret")
    secret = replace(config, hubs=replace(config.hubs, tokens={"huggingface": "a-secret"}))
    async with connected(secret) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        engine = psutil.Process((await status_of(runtime)).pid)
        for process in (the_server(), engine):
            assert "a-secret" not in " ".join(process.cmdline())
        assert "a-secret" not in engine.environ().values()


def test_servers_with_other_settings_have_other_sockets(tmp_path: Path) -> None:
    def name(**changes: Any) -> str:
        given: dict[str, Any] = {"models_dir": tmp_path, "_env_file": None} | changes
        return config_of(Settings(**given)).name

    same = {name(), name(port=1), name(api_keys=("k",)), name(database_url="sqlite:///x.db")}
    others = [
        name(),
        name(enable_echo=True),
        name(engine_slots=3),
        name(hf_token="t"),
        name(pull="x"),
        name(models_dir=tmp_path / "other"),
    ]
    assert len(same) == 1
    assert len(set(others)) == len(others)


def test_a_configuration_arrives_as_it_was_sent(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        models_dir=tmp_path,
        sllm_model_path=tmp_path / "a.gguf",
        model_aliases=("gpt=starter",),
        use_gpu=True,
        hf_token="t",
    )
    config = config_of(settings)
    assert decode(encode(config)) == config
    assert b"api" not in encode(config).lower()


async def test_only_a_folder_of_the_user_is_used(
    config: ServerConfig, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runtime_folder / "sllm"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(NotPrivate, match="belongs to others too"):
        await dial(config)
    assert not servers()
    async with asyncio.timeout(60):
        with pytest.raises(EngineUnavailable, match="belongs to others too"):
            async with connected(config):
                pass
    long = runtime_folder / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(OSError, match="too long"):
        await dial(config)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert Endpoint("name").path == Path(f"/tmp/sllm-{os.getuid()}/name.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))


async def test_a_server_that_cannot_start_is_reported(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.model_server.launch.encode", lambda _: b"\xc1")  # no configuration
    with pytest.raises(NotStarted):
        await dial(config)
    await until(lambda: not servers())
    await until(lambda: is_free(config))  # the system lets go of its lock in the end


def is_free(config: ServerConfig) -> bool:
    """Whether no process holds the lock of a model server."""
    lock = Endpoint(config.name).lock()
    if lock is not None:
        os.close(lock)
    return lock is not None


async def test_a_start_that_is_cancelled_leaves_no_process(config: ServerConfig) -> None:
    starting = asyncio.create_task(dial(config))
    await until(servers)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await until(lambda: not servers())
