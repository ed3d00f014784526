"""Hugging Face folders on vLLM, which runs as a server of its own beside the engine process."""

FILLS_GPU = True
STARTS_PROCESSES = True
