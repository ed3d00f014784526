"""API v1: whole answers, and the list of models."""
