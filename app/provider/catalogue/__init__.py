"""What lies in the models folder."""
