"""Counters, their gathering over workers, and the shape of log lines. Knows no room and no personal data."""
