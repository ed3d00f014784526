"""The Model Context Protocol: this server's models as tools of agents (modelcontextprotocol.io)."""
