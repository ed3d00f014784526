"""Routes that v1 adds."""
