"""Routes that v2 adds."""
