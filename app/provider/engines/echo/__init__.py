"""The deterministic engine that repeats what it hears."""
