"""Models: loading, planning, pulling; and images."""
