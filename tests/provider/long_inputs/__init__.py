"""An encoder of long texts that computes nothing: its tokens take the memory of real ones."""
