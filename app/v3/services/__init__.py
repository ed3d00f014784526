"""What v3 does, free of HTTP."""
