"""Functions that run inside one transaction."""
