"""Model downloads as jobs that outlive their request."""
