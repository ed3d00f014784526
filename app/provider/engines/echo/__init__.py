"""The deterministic engine that repeats the last message."""
