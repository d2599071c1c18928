"""IMAP as values: framing with limits, then parsing; responses encoded. Knows no socket, store or user."""
