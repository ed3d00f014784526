"""Routes of v5."""
