"""Routes that v4 adds or changes."""
