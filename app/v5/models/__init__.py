"""Wire models of v5: what clients send and get."""
