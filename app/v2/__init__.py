"""API v2: v1, and answers as a stream of events."""
