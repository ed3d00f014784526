"""What v6 does, free of HTTP."""
