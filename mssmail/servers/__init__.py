"""The edges: bytes to requests, results to bytes. Reaches mail only through `flow`."""
