"""Tiny encoders in the layout of the Hub, and the vectors that their own libraries make of them.

``write_checkpoint`` writes a family's folder in milliseconds, with numpy alone; ``reference``
reads what transformers and sentence-transformers computed of it. ``make`` computes that anew.
"""
