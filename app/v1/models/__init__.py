"""Wire models of v1: what clients send and get. Released classes are never edited."""
