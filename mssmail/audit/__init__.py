"""The trail: chained, sealed events, their verification and export. Knows who did what, never what was written."""
