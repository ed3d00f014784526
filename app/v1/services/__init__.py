"""What v1 does, free of HTTP."""
