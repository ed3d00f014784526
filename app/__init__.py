"""FastAPI SLLM API: small language models behind a versioned REST API."""
