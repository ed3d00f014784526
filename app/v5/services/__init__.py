"""Services of v5."""
