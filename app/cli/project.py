"""Where this installation lies, for programs that are started from elsewhere."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
RUN = PROJECT / "run.sh"
