"""Outcomes of requests that carry an idempotency key: kept for a day, so nothing is done twice."""
