"""Chat without storage: what a request asks for, and its answer."""
