"""Pulling models from the Hugging Face Hub, a mirror of it, or ModelScope.

The hub's client is heavy and blocks, so a process of its own does the work (``process``,
``__main__``). The API process imports only names, values and errors from here.
"""
