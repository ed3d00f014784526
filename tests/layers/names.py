"""Which identifiers still have a name that was given up for a standard term."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"

AROUND = ("bench", "migrations", "scripts", "tests", "training")
"""Folders around ``app``; there, only ``VAGUE`` is looked for."""

VAGUE = ("said", "told")
"""Names that say nothing of what they hold."""

WORDS = {
    "eye": "mmproj (the file), vision_tower (the weights)",
    "eyes": "vision_tower, image_encoder",
    "eyesight": "image_encoder",
    "said": "payload, message, text … by what it is",
    "seeing": "vision",
    "sight": "image_encoder, ask_with_images",
    "told": "payload, message, description … by what it is",
}
"""Words that no identifier has, not even as a part, and what to call it instead."""

NAMES = {
    "Answer": "SequenceState (engines)",
    "BEAT": "HEARTBEAT_SECONDS",
    "Beginning": "WindowStart",
    "Bells": "StopSignals",
    "Caretaker": "AbandonedTurnJanitor",
    "Cut": "Truncation",
    "Desk": "ConversationServices",
    "Entry": "LedgerEntry",
    "Greet": "Ping",
    "Heard": "EngineEvent, GenaiEvent",
    "Held": "TemplateState",
    "Line": "Connection",
    "Look": "PendingImage",
    "Pace": "PrefillBudget",
    "Place": "CursorKey, ImagePosition, Span",
    "Places": "MropePositions, ImagePositions",
    "Presence": "ProcessLock",
    "Reading": "UploadBudget, MetricsSnapshot, PrefillState",
    "Residents": "LoadedModels",
    "Rooms": "Sizing",
    "Shelf": "UserTemplates",
    "Stage": "GenerationTarget",
    "Tenant": "MemoryClaim",
    "Tower": "VisionTower",
    "Verdict": "AdmissionDecision",
    "Wish": "SizeEstimate",
    "Writing": "OutputStream",
}
"""Whole names that were given up, and their successors."""

MODULES = {
    "bar": "progress_bar",
    "choice": "select",
    "contracts": "export",
    "exposition": "prometheus",
    "facts": "fields, model_card",
    "hangup": "disconnect",
    "pace": "prefill_budget",
    "place": "staging",
    "runners": "engine_choice",
    "telling": "answers",
    "view": "context_window",
    "words": "error_text",
}
"""Names of modules and packages that were given up, and their successors."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def folder(path: Path) -> str:
    """The folder a file belongs to: one of ``app``, or one of ``app/provider``."""
    parts = path.relative_to(APP.parent).parent.parts
    return "/".join(parts[: 3 if parts[1:2] == ("provider",) else 2])


def folders() -> set[str]:
    """All folders of ``app``, and those of ``app/provider``."""
    return {folder(path) for path in APP.rglob("*.py")}


def retired(where: str) -> Iterator[str]:
    """Identifiers of a folder with a retired name, as ``path:line name -> successor``."""
    for path in sorted(APP.rglob("*.py")):
        if folder(path) == where:
            shown = path.relative_to(APP.parent)
            module = path.parent.name if path.stem == "__init__" else path.stem
            if module in MODULES:
                yield f"{shown} -> {MODULES[module]}"
            for line, name in identifiers(path.read_text(encoding="utf-8")):
                if successor := _successor(name):
                    yield f"{shown}:{line} {name} -> {successor}"


def vague(where: str) -> Iterator[str]:
    """Identifiers of a folder that have a vague name, as ``path:line name``."""
    for path in sorted((ROOT / where).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if any(name in source for name in VAGUE):  # parsing is slow
            for line, name in identifiers(source):
                if name.strip("_") in VAGUE:
                    yield f"{path.relative_to(ROOT)}:{line} {name}"


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that the source defines or assigns to."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield node.lineno, name
            case ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name


def _successor(name: str) -> str | None:
    bare = name.strip("_")
    if bare in NAMES:
        return NAMES[bare]
    words = (word.lower() for word in _WORD.findall(bare))
    return next((WORDS[word] for word in words if word in WORDS), None)
