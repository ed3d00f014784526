"""Liveness, readiness and figures for Prometheus."""
