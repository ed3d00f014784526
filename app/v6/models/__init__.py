"""Wire models that v6 adds."""
