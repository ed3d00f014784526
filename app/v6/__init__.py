"""Answers that survive a reconnect and a restart; thinking, tools and structured output."""
