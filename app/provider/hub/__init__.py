"""Pulling models from the Hugging Face Hub, a mirror of it, or ModelScope.

Nothing here is imported by the API process but names, values and errors: the hub's client is heavy
and blocks, so a process of its own does the work (``process``, ``__main__``).
"""
