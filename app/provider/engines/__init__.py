"""The engines; each is a package with a module format and a module engine."""
