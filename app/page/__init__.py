"""The page on which people talk to the models, and how its files are served."""
