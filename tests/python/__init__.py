"""What Python programs import: with a server and without one."""
