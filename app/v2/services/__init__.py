"""What v2 does, free of HTTP."""
