"""The routes of the HyperCLOVA X tool server, for its clients."""
