"""The server in the background: started, stopped and looked at from a terminal that may be closed.

A keeper process owns the server, writes its log and holds the lock that says that it runs.
"""
