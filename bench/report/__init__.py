"""Samples, the figures and targets made of them, and the table and chart that show them."""
