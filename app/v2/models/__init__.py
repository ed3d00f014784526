"""Wire models that v2 adds: the data of its events."""
