"""Wire models: what clients send and get."""
