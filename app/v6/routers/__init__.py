"""Routes that v6 adds."""
