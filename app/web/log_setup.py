"""Where the log goes, in every process of the server."""

from __future__ import annotations

import logging


def configure(level: str) -> None:
    """Send the log of the whole application to stderr; once per process."""
    logger = logging.getLogger("app")
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    # It would say the same as ours, without time taken and request id.
    logging.getLogger("uvicorn.access").disabled = True
