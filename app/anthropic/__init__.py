"""Anthropic's Messages API: translated to and from the domain, and nothing else."""
