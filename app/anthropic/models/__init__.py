"""Wire models of the Messages API."""
