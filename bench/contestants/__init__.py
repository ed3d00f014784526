"""The servers that are compared: how each is started, and the client that measures it."""
