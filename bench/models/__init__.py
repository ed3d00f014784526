"""Models with random weights, written on the spot, and which model each engine is measured with."""
