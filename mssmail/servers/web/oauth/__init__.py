"""The authorization server's endpoints (RFC 6749 and those around it). What they decide is decided in flow/oauth."""
