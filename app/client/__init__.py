"""How a Python program uses the models: over HTTP, or in itself without a server."""
