"""Engines that turn a prompt into text. Knows nothing of HTTP, SQL, FastAPI or Settings."""

import os

for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    # Libraries report to their makers over the network unless told so before they are loaded.
    # Every process that loads one is started by this one, and inherits it.
    os.environ.setdefault(_name, "1")
