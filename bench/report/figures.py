"""What each figure is called: data for the report."""

from __future__ import annotations

from dataclasses import dataclass

from bench.contestants.encoder_servers import PEER
from bench.contestants.servers import (
    BEFORE,
    DEFAULTS,
    GENERATOR,
    LLAMA_SERVER,
    MLX_LOOP,
    MLX_SERVER,
    MLX_VLM_SERVER,
    ONE_PROCESS,
    OPENAI,
    OURS,
    PACKAGED,
    RAW,
    RAW_STREAMS,
    RELAY,
    SQLITE,
    STORE,
    STORED,
)
from bench.workloads.startup import BARE


@dataclass(frozen=True)
class Figure:
    """A measured quantity in words, with its unit; ratios have none."""

    title: str
    unit: str

    @property
    def label(self) -> str:
        """Words and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def is_rate(self) -> bool:
        """Whether it is so many of something a second: the more, the better."""
        return self.unit.endswith("/s")


COLOURS = {
    OURS: "#1f6feb",
    ONE_PROCESS: "#79a9f2",
    RELAY: "#57606a",
    BEFORE: "#b6bec9",
    DEFAULTS: "#79a9f2",
    OPENAI: "#0a3069",
    STORED: "#54aeff",
    STORE: "#1a7f37",
    SQLITE: "#57606a",
    RAW: "#57606a",
    RAW_STREAMS: "#57606a",
    GENERATOR: "#57606a",
    MLX_LOOP: "#57606a",
    LLAMA_SERVER: "#bf8700",
    PACKAGED: "#a475f9",
    MLX_SERVER: "#bf8700",
    MLX_VLM_SERVER: "#bf8700",
    BARE: "#8c959f",
    PEER: "#bf8700",
}
"""Contestant → its colour in charts, in the order of tables."""

CONTESTANTS = tuple(COLOURS)

TASKS = {
    "list": "a page of the list",
    "open": "open a conversation",
    "search": "search",
    "scattered": "search, the worst words",
    "message": "store a message",
    "turn": "store a turn",
    "chat": "a whole turn of the echo engine",
}

STORE_FIGURES = {
    f"store.{size}.{task}.{part}": Figure(f"{size} store: {words}, {part}", "ms")
    for size in ("small", "large")
    for task, words in TASKS.items()
    for part in ("p50", "p99", "max")
} | {
    f"store.grown.{task}.{part}": Figure(f"large ÷ small store: {words}, {part}", "")
    for task, words in TASKS.items()
    for part in ("p50", "p99")
}

ENGINE_MODELS = {
    "gguf.starter": "GGUF, starter",
    "gguf.shape": "GGUF, 0.5B Q8_0",
    "onnx.starter": "ONNX, starter",
    "onnx.shape": "ONNX, 0.5B int4",
    "mlx.starter": "MLX, starter",
    "mlx.shape": "MLX, 0.5B bfloat16",
}

ENGINE_FIGURES = {
    f"engines.{model}.{streams}": Figure(f"{words}, {what}", "tok/s")
    for model, words in ENGINE_MODELS.items()
    for streams, what in ((1, "1 stream"), (8, "8 streams, total"))
}

SWITCH_FIGURES = {
    "switch.ratio": Figure("two loaded models in turn: first token ÷ staying with one", ""),
    "switch.loads": Figure("… loads meanwhile", ""),
    "switch.stay": Figure("… first token, staying", "ms"),
    "switch.switch": Figure("… first token, after a switch", "ms"),
    "switch.used": Figure("three models, room for two: most memory held ÷ budget", ""),
    "switch.budget": Figure("… budget", "MiB"),
    "switch.most": Figure("… most memory held by engines", "MiB"),
    "switch.rate": Figure("… random requests of 2 clients", "requests/s"),
    "switch.reloads": Figure("… loads for these requests", ""),
}

VISION_ENGINES = {
    "gguf": ("pictures of 300 tokens, GGUF", LLAMA_SERVER),
    "mlx": ("pictures of 50 tokens, MLX", MLX_VLM_SERVER),
    "pytorch": ("pictures, PyTorch", ""),
    "hyperclovax": ("pictures, HyperCLOVA X", ""),
}
"""Engine → its pictures, and the server that is shown the same ones."""

VISION_PARTS = {
    "encode": ("to encode one, beyond the prefill of as many words", "ms"),
    "first": ("first token of the first question", "ms"),
    "follow": ("first token of the next one about the same picture", "ms"),
    "ratio": ("first token of the next one ÷ of the first", ""),
    "again": ("first token with the same picture in a new conversation", "ms"),
    "gap": ("worst gap of a running stream while a picture comes in", "ms"),
    "gap.ratio": ("worst gap while a picture comes in ÷ median before", ""),
    "right": ("right answers of the vision starter", "%"),
}

VISION_FIGURES = {
    f"vision.{engine}.{part}": Figure(f"{what}: {words}", unit)
    for engine, (what, _) in VISION_ENGINES.items()
    for part, (words, unit) in VISION_PARTS.items()
}

ENCODER_FIGURES = {
    f"encoders.{part}.{clients}": Figure(f"{words}, {clients} client{'s' * (clients > 1)}", unit)
    for part, words, unit in (
        ("short", "MiniLM, texts of 16 tokens", "texts/s"),
        ("long", "MiniLM, texts of 200 tokens", "texts/s"),
        ("mixed", "MiniLM, texts of 8 to 252 tokens", "texts/s"),
        ("rerank", "MiniLM as reranker, 100 documents a request", "documents/s"),
        ("pictures", "DINOv2-small, a picture a request", "pictures/s"),
    )
    for clients in (1, 16)
}

CHAT_FIGURES = {
    "streams.1": Figure("1 stream", "tok/s"),
    "streams.8": Figure("8 streams, total", "tok/s"),
    "streams.8.idle": Figure("8 streams beside 8 idle conversations, total", "tok/s"),
    "prefix.ratio": Figure("shared system prompt: first token of 2nd…8th ÷ 1st", ""),
    "prefix.worst": Figure("… the slowest ÷ 1st", ""),
    "prefix.together": Figure("… 2nd…8th sent at the same moment ÷ 1st", ""),
    "prefix.first": Figure("… first token of the 1st", "ms"),
    "prefix.next": Figure("… first token of the 2nd…8th", "ms"),
    "turns.7.ratio": Figure("last turn among 7 others: first token ÷ cold", ""),
    "turns.7.worst": Figure("… the slowest ÷ cold", ""),
    "turns.7.cold": Figure("… first token cold", "ms"),
    "turns.7.last": Figure("… first token of the last turn", "ms"),
    "turns.15.ratio": Figure("last turn among 15 others: first token ÷ cold", ""),
    "turns.15.worst": Figure("… the slowest ÷ cold", ""),
    "turns.15.cold": Figure("… first token cold", "ms"),
    "turns.15.last": Figure("… first token of the last turn", "ms"),
    "gap.ratio": Figure(
        "long prompt comes in: worst gap of a running stream ÷ its median before", ""
    ),
    "gap.prefill": Figure("long prompt comes in: its first token ÷ alone", ""),
    "gap.own": Figure("… worst gap ÷ the median of all its gaps", ""),
    "gap.median": Figure("… median gap before", "ms"),
    "gap.worst": Figure("… worst gap meanwhile", "ms"),
    "gap.long": Figure("… first token of the long prompt meanwhile", "s"),
    "gap.alone": Figure("… first token of the long prompt alone", "s"),
    "openai.1": Figure("OpenAI's API, 1 answer", "tok/s"),
    "openai.8": Figure("OpenAI's API, 8 answers, total", "tok/s"),
    "openai.schema.1": Figure("… with a JSON Schema, 1 answer", "tok/s"),
    "openai.schema.8": Figure("… with a JSON Schema, 8 answers, total", "tok/s"),
    "openai.schema.1.ratio": Figure("… with a JSON Schema ÷ without, 1 answer", ""),
    "openai.schema.8.ratio": Figure("… with a JSON Schema ÷ without, 8 answers", ""),
    "cached.0": Figure("the same prompt again, at once: first token", "ms"),
    "cached.4": Figure("… after 4 s of silence: first token", "ms"),
}
"""Of the generated model, and under other names of others that converse."""

SMOLLM2_FIGURES = {
    f"smollm2.{name}": Figure(f"SmolLM2: {figure.title}", figure.unit)
    for name, figure in CHAT_FIGURES.items()
}

STARTER_FIGURES = {
    f"starter.{name}": Figure(f"starter model: {figure.title}", figure.unit)
    for name, figure in CHAT_FIGURES.items()
    if name.startswith("cached.")
}

FIGURES = {
    **CHAT_FIGURES,
    **SMOLLM2_FIGURES,
    "starter.1": Figure("starter model, 1 client", "tok/s"),
    "starter.8": Figure("starter model, 8 clients, total", "tok/s"),
    **STARTER_FIGURES,
    "startup.seconds": Figure("API process, start to healthy", "s"),
    "startup.memory": Figure("API process, resident before any model", "MiB"),
    "echo.p50": Figure("echo, v1 chat, 1 client, median", "ms"),
    "echo.rate": Figure("echo, v1 chat, 32 clients", "requests/s"),
    "echo.start": Figure("echo, stored v4 chat that starts a conversation, median", "ms"),
    "echo.start.more": Figure("echo, stored v4 chat that starts one: more than v1", "ms"),
    "echo.next": Figure("echo, stored v4 chat that goes on with one, median", "ms"),
    "echo.next.more": Figure("echo, stored v4 chat that goes on with one: more than v1", "ms"),
    "echo.stored.p99": Figure("echo, stored v4 chat, p99", "ms"),
    "in_process.post": Figure("echo in this program, a chat, median", "ms"),
    "in_process.more": Figure("… more than the pool of models alone", "ms"),
    "in_process.chat": Figure("… through LangChain's chat model", "ms"),
    "mcp.older": Figure("echo over MCP, revisions before 2026-07-28, median", "ms"),
    "mcp.older.more": Figure("echo over MCP, older revisions: more than v1", "ms"),
    "mcp.newest": Figure("echo over MCP, revision 2026-07-28, median", "ms"),
    "mcp.newest.more": Figure("echo over MCP, revision 2026-07-28: more than v1", "ms"),
    "running.share": Figure("1,000 stored answers run: time in write transactions", "%"),
    "running.count": Figure("… stored answers that run to the end", ""),
    "running.p50": Figure("… a new turn begins, p50", "ms"),
    "running.p99": Figure("… a new turn begins, p99", "ms"),
    "workers.rate": Figure("4 workers, echo, v1 chat, 32 clients", "requests/s"),
    "workers.ratio": Figure("… requests/s with 4 processes ÷ with one", ""),
    "workers.p50": Figure("… 1 client, median", "ms"),
    "workers.p50.more": Figure("… 1 client: more than with one process", "ms"),
    "workers.model": Figure("4 workers, a real model, 8 answers, total", "tok/s"),
    **STORE_FIGURES,
    **ENGINE_FIGURES,
    **SWITCH_FIGURES,
    **VISION_FIGURES,
    **ENCODER_FIGURES,
}
