"""What v5 says of one model: its facts, its memory, and whether it would fit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.v1.models.models import Model
from app.v2.models.events import LoadingEvent, QueuedEvent, stream_documentation
from app.web.problem_details import Problem
from app.web.schema import WHOLE, WireModel


class Memory(WireModel):
    """Bytes, by what they are for. ``prefix_cache`` fills as conversations pile up."""

    runtime: int = Field(description="The process and its libraries.")
    weights: int
    kv: int = Field(description="Keys and values of running and recent conversations.")
    compute: int = Field(description="Scratch memory of a step.")
    prefix_cache: int = Field(description="The most that conversations in RAM may take.")
    vision: int


class Residence(WireModel):
    """What a loaded model takes."""

    predicted_bytes: int = Field(description="Of RAM, at most.")
    measured_bytes: int = Field(description="Of RAM that its process holds now; 0: it is starting.")
    gpu_bytes: int
    gpu_layers: int
    parts: Memory


class ModelDetail(Model):
    """Everything that is known of one model."""

    # Wider than in the base class: a new engine needs no new version of the API.
    format: str = Field(  # type: ignore[assignment]
        description="How it is stored.", examples=["gguf", "onnx", "mlx", "hf", "echo"]
    )
    name: str = Field(description="As its maker calls it; empty where the files do not say.")
    version: str
    aliases: list[str] = Field(description="Other names that requests may use.")
    architecture: str
    parameters: int = Field(description="How many weights it has; 0: unknown.")
    quantization: str
    licence: str
    chat_template: str | None = Field(description="Jinja source, where the files have one.")
    sha256: str | None = Field(
        description="Of its weights. null until it has been computed: ask again."
    )
    problem: str | None = Field(description="Why it cannot be loaded.")
    memory: Residence | None = Field(description="null while it is not loaded.")


class ModelDetailList(WireModel):
    """All models on this server."""

    models: list[ModelDetail]


class PlanRequest(WireModel):
    """Settings to try; without them those of the server."""

    context_length: Annotated[int, Field(ge=0, le=2**24), WHOLE] | None = Field(
        None, description="Tokens for one prompt with its answer; 0: the model's own."
    )
    slots: Annotated[int, Field(ge=1, le=256), WHOLE] | None = Field(
        None, description="Requests answered at the same time."
    )
    kv_cache_mb: Annotated[int, Field(ge=1, le=2**20), WHOLE] | None = None
    prefix_cache_mb: Annotated[int, Field(ge=0, le=2**20), WHOLE] | None = None


class ModelPlan(WireModel):
    """What loading a model would take. Nothing was changed."""

    model: str
    fits: bool = Field(description="Whether it can be loaded, perhaps after others have left.")
    reason: str | None = Field(description="Why it cannot.")
    loaded: bool = Field(description="It is loaded already.")
    evict: list[str] = Field(description="Idle models that would be unloaded.")
    wait: bool = Field(description="Models in use would have to finish first.")
    parts: Memory
    ram_bytes: int = Field(description="That it would take of the RAM, at most.")
    ram_budget_bytes: int = Field(description="For all models together.")
    ram_taken_bytes: int = Field(description="Of it by other models now.")
    gpu_bytes: int
    gpu_layers: int = Field(description="Layers that would go to the GPU.")
    layers: int = Field(description="Layers that could.")


PLAN_EXAMPLES: dict[str, Any] = {
    "settings": {"summary": "With the server's settings", "value": {}},
    "longer": {"summary": "With a longer context", "value": {"context_length": 8192, "slots": 2}},
}


class LoadMessageEvent(WireModel):
    """``message``: always first."""

    model: str


LOAD_EVENTS: dict[str, type[BaseModel]] = {
    "message": LoadMessageEvent,
    "queued": QueuedEvent,
    "loading": LoadingEvent,
    "done": ModelDetail,
    "error": Problem,
}
"""Event name → what its data is."""

LOAD_EXAMPLE = """\
event: message
id: 0
data: {"model":"starter"}

event: loading
id: 1
data: {"percent":40}

event: done
id: 2
data: {"id":"starter","state":"ready",…}

"""

LOAD_DOCUMENTATION = stream_documentation(LOAD_EVENTS, LOAD_EXAMPLE)
