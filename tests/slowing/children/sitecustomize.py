"""Slows a process that a slowed test has started: Python imports this module at its start."""

import os
import sys
import threading

from tests.slowing.pauses import RandomPauses

if any("app" in argument for argument in sys.orig_argv):
    pauses = RandomPauses(os.environ["SLOWED_SEED"])
    threading.settrace(pauses.trace)
    sys.settrace(pauses.trace)
