"""The tools that agents get: what each takes, what it does, and how the protocol shows it."""
