"""The registry of counters and the shape of log lines. Knows no room and no personal data."""
