"""The owner of loaded models in a process of its own, for several API processes: both sides."""
