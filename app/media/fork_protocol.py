"""What the API process and the fork server of image decoders send each other.

A request is a number: ``FORK``, with a socket for the new process, or the process to kill. A
notice is a process and ``STARTED``, or its exit code; or ``FAILED`` and the errno of a fork.
"""

from __future__ import annotations

import struct

REQUEST, NOTICE = struct.Struct("!I"), struct.Struct("!Ii")
FORK, FAILED, STARTED = 0, 0, 256
