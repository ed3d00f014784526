"""What ``/v1/health`` gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The server can answer."""

    status: Literal["ok"]
