"""The model server as a process, and what an API process has of it."""
