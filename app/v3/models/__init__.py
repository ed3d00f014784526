"""Wire models that v3 adds: templates, and what a chat says with them."""
