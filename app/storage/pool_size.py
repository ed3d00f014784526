"""How many transactions one process runs at the same time, and so its database connections."""

from __future__ import annotations

from typing import NamedTuple


class PoolSize(NamedTuple):
    """Threads for transactions; SQLite has one writer whatever this says."""

    readers: int = 4
    scanners: int = 2
    writers: int = 8

    def share(self, processes: int) -> PoolSize:
        """What each of so many processes gets: of the readers two, of the others one at least.

        One slow read shall not hold up the check of the database's health.
        """
        return PoolSize(
            max(2, self.readers // processes),
            max(1, self.scanners // processes),
            max(1, self.writers // processes),
        )
