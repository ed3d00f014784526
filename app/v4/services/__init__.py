"""What v4 does, free of HTTP."""
