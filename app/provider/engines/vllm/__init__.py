"""Hugging Face folders on vLLM, which runs as a server of its own beside the engine process."""

WORKER = "app.provider.runtime.async_worker"
FILLS_GPU = True
STARTS_PROCESSES = True
