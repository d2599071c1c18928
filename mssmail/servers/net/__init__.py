"""Streams, listeners and TLS: with `supervise`, the only place of the product that touches sockets."""
