"""Storage: the database, its migrations and its files."""
