"""GGUF models on llama.cpp's low-level interface, batched."""

ENVIRONMENT = {"GGML_NO_BACKTRACE": "1"}
"""Without it, llama.cpp holds a process that it aborts until a debugger has printed the stack."""
