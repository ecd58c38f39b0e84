"""WebSockets beside what their libraries do."""
