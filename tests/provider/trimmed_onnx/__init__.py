"""An engine for tests of memory."""
