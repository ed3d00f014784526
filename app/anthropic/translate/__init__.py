"""Between the wire models of the Messages API and the domain."""
