"""Reads what the folder of an encoder says of it: bounded readers, no library that runs models."""
