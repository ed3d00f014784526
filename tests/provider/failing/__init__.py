"""An engine that fails where a prompt tells it to, in a process like any other's."""
