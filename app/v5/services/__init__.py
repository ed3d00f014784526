"""What v5 does, free of HTTP."""
