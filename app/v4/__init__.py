"""Conversations that are stored, and prompt templates that users edit."""
