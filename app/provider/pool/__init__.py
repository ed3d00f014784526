"""The models of this server: which there are, which are loaded, who has to leave."""
