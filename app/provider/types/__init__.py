"""Values that travel between services, the engine host and the engine process.

None of them carries an id, a timestamp or a row: identity belongs to whoever stores them. They
are structs of msgspec: their types are the schema of what an engine process may send.
"""

from __future__ import annotations

from app.provider.types.event import (
    AnyDelta,
    Chunk,
    Delta,
    Encoded,
    End,
    Event,
    FinishReason,
    Loaded,
    Phase,
    Progress,
    SeenImage,
    Size,
    Started,
    ThinkingDelta,
    Token,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from app.provider.types.job import (
    Constraint,
    Encode,
    Generate,
    Job,
    PairPart,
    Prompt,
    RawText,
    Sampling,
    TokensPart,
    Tool,
    ToolChoice,
)
from app.provider.types.message import (
    ImageNotes,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from app.provider.types.model import ModelRef
from app.provider.types.value import Count, Value

__all__ = [
    "AnyDelta",
    "Chunk",
    "Constraint",
    "Count",
    "Delta",
    "Encode",
    "Encoded",
    "End",
    "Event",
    "FinishReason",
    "Generate",
    "ImageNotes",
    "ImagePart",
    "Job",
    "Loaded",
    "Message",
    "ModelRef",
    "PairPart",
    "Part",
    "Phase",
    "Progress",
    "Prompt",
    "RawText",
    "Role",
    "Sampling",
    "SeenImage",
    "Size",
    "Started",
    "TextPart",
    "ThinkingDelta",
    "ThinkingPart",
    "Token",
    "TokenLogprob",
    "TokensPart",
    "Tool",
    "ToolCallDelta",
    "ToolCallPart",
    "ToolChoice",
    "ToolResultPart",
    "Usage",
    "Value",
]
