"""Routes that v3 adds, and those of v1 and v2 that it replaces."""
