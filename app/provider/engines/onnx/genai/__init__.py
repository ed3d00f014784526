"""Experimental: onnxruntime-genai's own engine for GPUs, and its generator for vision models.

Both keep the library's batching or have none, so they do not run on the shared scheduler.
"""
