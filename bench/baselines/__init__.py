"""Programs that drive one library directly: the yardsticks beside the servers."""
