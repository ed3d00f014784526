"""GGUF models on llama.cpp's low-level interface, batched."""
