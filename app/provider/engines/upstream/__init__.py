"""The engine of models that another OpenAI-compatible server runs: it passes jobs on to it."""

WORKER = "app.provider.runtime.async_worker"
