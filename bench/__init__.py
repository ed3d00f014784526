"""Measures this server beside its peers.

It knows the server's HTTP interface and not its insides; only the workload ``store`` calls both.
"""
