"""Log output that never blocks on its reader, and log levels."""
