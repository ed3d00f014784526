"""Programs that drive one library directly: the baselines beside the servers."""
