"""Hugging Face folders on PyTorch and transformers, batched continuously."""
