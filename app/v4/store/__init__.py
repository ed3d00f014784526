"""What v4 reads and writes: functions that take a session and run inside one transaction."""
