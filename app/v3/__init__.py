"""API v3: v2, and prompt templates."""
