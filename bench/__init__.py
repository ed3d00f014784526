"""Measures this server beside its peers. Knows the server's HTTP interface, never its insides."""
